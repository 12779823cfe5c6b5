//! The classes that `xe` lists (xapi `cli_operations.ml` `gen_cmds`).

use super::fields::{self, Field};
use super::row::Class;

/// What the verbs of one name (`vm-list`, `vm-param-get` …) are about.
pub struct Listed {
    pub name: &'static str,
    pub class: Class,
    pub fields: &'static [Field],
    /// Which rows of the class there are under this name.
    pub filters: &'static [(&'static str, &'static str)],
    /// What a list shows unless asked for `params=`; everything if empty.
    pub shown: &'static [&'static str],
}

const fn listed(
    name: &'static str,
    class: Class,
    fields: &'static [Field],
    shown: &'static [&'static str],
) -> Listed {
    Listed { name, class, fields, filters: &[], shown }
}

/// Every name.
pub const LISTED: &[Listed] = &[
    listed(
        "pool",
        Class::Pool,
        fields::POOL,
        &["uuid", "name-label", "name-description", "master", "default-SR"],
    ),
    listed(
        "pif",
        Class::Pif,
        fields::PIF,
        &["uuid", "device", "VLAN", "MAC", "network-uuid", "currently-attached", "host-uuid"],
    ),
    listed("vlan", Class::Vlan, fields::VLAN, &["uuid", "tagged-PIF", "untagged-PIF", "tag"]),
    listed("vif", Class::Vif, fields::VIF, &["uuid", "device", "vm-uuid", "network-uuid"]),
    listed("network", Class::Network, fields::NETWORK, &["uuid", "name-label", "name-description", "bridge"]),
    listed(
        "console",
        Class::Console,
        fields::CONSOLE,
        &["uuid", "vm-uuid", "vm-name-label", "protocol", "location"],
    ),
    Listed {
        filters: &[("is-a-template", "false")],
        ..listed("vm", Class::Vm, fields::VM, &["name-label", "uuid", "power-state"])
    },
    Listed {
        filters: &[("is-a-template", "true"), ("is-a-snapshot", "false")],
        ..listed("template", Class::Vm, fields::VM, &["name-label", "name-description", "uuid"])
    },
    Listed {
        filters: &[("is-a-snapshot", "true")],
        ..listed(
            "snapshot",
            Class::Vm,
            fields::VM,
            &["name-label", "name-description", "uuid", "is-vmss-snapshot"],
        )
    },
    listed("host", Class::Host, fields::HOST, &["uuid", "name-label", "name-description"]),
    listed(
        "vdi",
        Class::Vdi,
        fields::VDI,
        &["uuid", "name-label", "name-description", "virtual-size", "read-only", "sharable", "sr-uuid"],
    ),
    listed(
        "vbd",
        Class::Vbd,
        fields::VBD,
        &["uuid", "vm-uuid", "vm-name-label", "vdi-uuid", "device", "empty"],
    ),
    listed(
        "sr",
        Class::Sr,
        fields::SR,
        &["uuid", "name-label", "name-description", "host", "type", "content-type"],
    ),
    listed(
        "pbd",
        Class::Pbd,
        fields::PBD,
        &["uuid", "host-uuid", "sr-uuid", "device-config", "currently-attached"],
    ),
    listed(
        "task",
        Class::Task,
        fields::TASK,
        &["uuid", "name-label", "name-description", "status", "progress"],
    ),
    listed("message", Class::Message, fields::MESSAGE, &[]),
    listed("vtpm", Class::Vtpm, fields::VTPM, &["uuid", "vm-uuid", "profile"]),
];

/// The list of this name.
pub fn by_name(name: &str) -> Option<&'static Listed> {
    LISTED.iter().find(|listed| listed.name == name)
}

/// Parameters of every command, which select nothing.
pub const STANDARD: &[&str] = &[
    "server",
    "password",
    "port",
    "username",
    "minimal",
    "force",
    "multiple",
    "all",
    "message-priority",
    "trace",
];
