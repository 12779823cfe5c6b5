//! XAPI networks and the VIFs on them.

use super::{Call, Record, Uuid, Xe, call};
use crate::report::Result;
use anyhow::bail;

const FIELDS: [&str; 4] = ["uuid", "name-label", "bridge", "other-config"];

/// The key of `other-config` that tells a network which the network driver made: `vlan` or `private`.
pub const MADE: &str = "one_network";

/// The key that such a network has while it is being removed: nobody may put VIFs on it any more.
pub const REMOVING: &str = "one_removing";
const VIF_FIELDS: [&str; 6] = ["uuid", "device", "MAC", "currently-attached", "other-config", "network-uuid"];

/// How many VIFs a VM can have (xapi_vm_helpers.ml `allowed_VIF_devices_HVM`).
pub const VIF_DEVICES: usize = 7;

/// A network of the pool. Its names are the administrator's.
#[derive(Clone, Debug)]
pub struct Network {
    pub uuid: Uuid,
    pub name_label: String,
    pub bridge: String,
    other_config: String,
}

impl Network {
    fn read(record: &Record<'_>) -> Result<Network> {
        Ok(Network {
            uuid: record.get("uuid")?,
            name_label: record.text("name-label").to_owned(),
            bridge: record.text("bridge").to_owned(),
            other_config: record.text("other-config").to_owned(),
        })
    }

    /// Whether the network driver made it.
    pub fn is_made(&self) -> bool {
        super::record::map_value(&self.other_config, MADE).is_some()
    }

    /// Whether it is about to go.
    pub fn is_being_removed(&self) -> bool {
        super::record::map_value(&self.other_config, REMOVING).is_some()
    }

    /// The networks of the pool.
    pub fn all(xe: &Xe) -> Result<Vec<Network>> {
        xe.list("network", &FIELDS, &[], Network::read)
    }
}

/// Makes a network. XAPI refuses a bridge that another network has (BRIDGE_NAME_EXISTS, xapi_network.ml `create`): of
/// several callers that want the same one makes it.
pub fn create(name_label: &str, bridge: &str, mtu: Option<u32>) -> Call {
    let call = call("network-create").set("name-label", name_label).set("bridge", bridge);
    if let Some(mtu) = mtu { call.set("MTU", mtu) } else { call }
}

pub fn set(uuid: &Uuid) -> Call {
    call("network-param-set").set("uuid", uuid)
}

/// Takes a key out of `other-config`.
pub fn forget(uuid: &Uuid, key: &str) -> Call {
    call("network-param-remove").set("uuid", uuid).set("param-name", "other-config").set("param-key", key)
}

/// Removes a network without PIFs; XAPI takes the VIFs of halted VMs with it.
pub fn destroy(uuid: &Uuid) -> Call {
    call("network-destroy").set("uuid", uuid)
}

/// Whether any VM of the pool has a VIF on it, running or not.
pub fn has_vifs(xe: &Xe, uuid: &Uuid) -> Result<bool> {
    Ok(!xe
        .list("vif", &["uuid"], &[("network-uuid", &uuid.to_string())], |vif| vif.get::<Uuid>("uuid"))?
        .is_empty())
}

/// The networks that VIFs of VMs are on, running or not; one may come several times.
pub fn with_vifs(xe: &Xe) -> Result<Vec<Uuid>> {
    let listed = xe.list("vif", &["uuid", "network-uuid"], &[], |vif| vif.optional("network-uuid"))?;
    Ok(listed.into_iter().flatten().collect())
}

/// A network that nobody has made yet.
#[derive(Debug)]
pub struct Missing(pub String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// The network that goes by `name`: bridge, name-label or uuid.
pub fn named<'a>(networks: &'a [Network], name: &str) -> Result<&'a Network> {
    let tests: [fn(&Network, &str) -> bool; 3] = [
        |network, name| network.bridge == name,
        |network, name| network.name_label == name,
        |network, name| network.uuid.to_string().eq_ignore_ascii_case(name),
    ];
    for test in tests {
        let found: Vec<&Network> =
            networks.iter().filter(|network| !name.is_empty() && test(network, name)).collect();
        match found.as_slice() {
            [] => {}
            [network] => return Ok(network),
            several => bail!("{} networks of the pool go by the name {name:?}", several.len()),
        }
    }
    let there: Vec<&str> = networks.iter().map(|network| network.bridge.as_str()).collect();
    bail!(Missing(format!(
        "no network of the pool has the bridge, name or uuid {name:?}; its bridges are {}",
        there.join(", ")
    )))
}

/// Plugs a VM into a network. Without a MAC address XAPI makes one up.
pub fn create_vif(vm: &Uuid, network: &Uuid, device: usize, mac: &str) -> Call {
    let call = call("vif-create").set("vm-uuid", vm).set("network-uuid", network).set("device", device);
    if mac.is_empty() { call } else { call.set("mac", mac) }
}

pub fn set_vif(uuid: &Uuid) -> Call {
    call("vif-param-set").set("uuid", uuid)
}

/// A VIF as the pool has it.
#[derive(Clone, Debug)]
pub struct Vif {
    pub uuid: Uuid,
    pub device: String,
    pub mac: String,
    pub network_uuid: Option<Uuid>,
    /// Whether the running VM has the device.
    pub is_attached: bool,
    other_config: String,
}

impl Vif {
    fn read(record: &Record<'_>) -> Result<Vif> {
        Ok(Vif {
            uuid: record.get("uuid")?,
            device: record.text("device").to_owned(),
            mac: record.text("MAC").to_owned(),
            network_uuid: record.optional("network-uuid")?,
            is_attached: record.text("currently-attached") == "true",
            other_config: record.text("other-config").to_owned(),
        })
    }

    /// A value of `other-config`.
    pub fn other_config(&self, key: &str) -> Option<&str> {
        super::record::map_value(&self.other_config, key)
    }

    /// The VIFs of a VM.
    pub fn of_vm(xe: &Xe, vm: &Uuid) -> Result<Vec<Vif>> {
        xe.list("vif", &VIF_FIELDS, &[("vm-uuid", &vm.to_string())], Vif::read)
    }
}

/// Plugs the VIF into another network, also of a running VM.
pub fn move_vif(uuid: &Uuid, network: &Uuid) -> Call {
    call("vif-move").set("uuid", uuid).set("network-uuid", network)
}

/// Removes a VIF; one that a running VM has must be unplugged first.
pub fn destroy_vif(uuid: &Uuid) -> Call {
    call("vif-destroy").set("uuid", uuid)
}

/// Shows the VIF to a running VM.
pub fn plug_vif(uuid: &Uuid) -> Call {
    call("vif-plug").set("uuid", uuid)
}

/// Takes the VIF from a running VM.
pub fn unplug_vif(uuid: &Uuid) -> Call {
    call("vif-unplug").set("uuid", uuid)
}
