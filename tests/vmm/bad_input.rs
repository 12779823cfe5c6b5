//! Bad input: one clear line that names the place, exit 1, and nothing changed in the pool.
use crate::common::{Host, Recorded};
use std::fs;

/// Each document is the recorded one with one piece made wrong.
#[track_caller]
fn refused(host: &Host, document: &[u8], words: &str) {
    let before = host.dump();
    host.forget_calls();
    let line = host.deploy_document("xcp-a", document).failure();
    assert!(line.contains(words), "{line}\nshould say: {words}");
    assert!(line.chars().count() < 400, "too long: {line}");
    host.is_as(&before);
}

fn with(old: &str, new: &str) -> Vec<u8> {
    Recorded::load("deploy").with(old, new).stdin
}

#[test]
fn documents_that_are_none() {
    let host = Host::new();
    let whole = Recorded::load("deploy").stdin;
    refused(&host, &whole[..whole.len() / 2], "the deployment file is not XML, in VM/TEMPLATE/DISK/");
    let end = whole.len() - "</VM>\n".len();
    refused(&host, &whole[..end], "the deployment file ends early, in VM");
    refused(&host, b"", "the deployment file");
    refused(&host, &[b"<VM>\xff\xfe", &whole[4..]].concat(), "the deployment file is not UTF-8 (at byte 4)");
    refused(&host, "<A>".repeat(3_400_000).as_bytes(), "nested deeper than 64");
    let bomb = b"<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><VM><ID>&c;</ID></VM>";
    refused(&host, bomb, "declares a document type");
    refused(&host, b"<IMAGE/>", "is a IMAGE, not a VM");
    let elements = format!("<VM>{}</VM>", "<a/>".repeat(1_000_000));
    refused(&host, elements.as_bytes(), "has too many elements for its length");
}

#[test]
fn messages_larger_than_any_of_opennebula_are_not_read_to_their_end() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    let message = [b"<VMM_DRIVER_ACTION_DATA>".as_slice(), &vec![b' '; 40 << 20]].concat();
    let line = host.deploy_document("xcp-a", &message).failure();
    assert!(line.contains("the deployment file is larger than 32 MB"), "{line}");
    for action in ["cancel", "shutdown", "poll"] {
        let line = host.run(action, &[&uuid, "xcp-a", "1", "xcp-a"], &message).failure();
        assert!(line.contains("the message on standard input is larger than 32 MB"), "{line}");
    }
    assert_eq!(host.dump(), before);
}

#[test]
fn values_that_dom0_must_not_get() {
    let host = Host::new();
    for (old, new, words) in [
        (
            "<GRAPHICS>",
            "<GRAPHICS><KEYMAP>../../etc/x</KEYMAP>",
            "VM/TEMPLATE/GRAPHICS/KEYMAP is \"../../etc/x\"",
        ),
        ("<OS>", "<OS><KERNEL>/etc/shadow</KERNEL>", "VM/TEMPLATE/OS/KERNEL is \"/etc/shadow\""),
        (
            "<OS>",
            "<OS><KERNEL>/boot/guest/k</KERNEL><INITRD>/boot/guest/../x</INITRD>",
            "VM/TEMPLATE/OS/INITRD is \"/boot/guest/../x\"",
        ),
        ("<OS>", "<OS><BOOTLOADER>/bin/sh</BOOTLOADER>", "VM/TEMPLATE/OS/BOOTLOADER is \"/bin/sh\""),
        (
            "platform:viridian=true",
            "platform:hvm_serial=file:/root/.profile",
            "VM/TEMPLATE/RAW/DATA: platform:hvm_serial is \"file:/root/.profile\"",
        ),
        (
            "platform:viridian=true",
            "PV-bootloader-args=--output=/x",
            "VM/TEMPLATE/RAW/DATA: PV-bootloader-args: \"--output=/x\" is not one of",
        ),
    ] {
        refused(&host, &with(old, new), words);
    }
}

#[test]
fn values_that_cannot_be() {
    let host = Host::new();
    let cases = [
        ("<CPU><![CDATA[0.5]]></CPU>", "<CPU>two</CPU>", "VM/TEMPLATE/CPU is \"two\": invalid float literal"),
        ("<CPU><![CDATA[0.5]]></CPU>", "<CPU>-1</CPU>", "VM/TEMPLATE/CPU is -1: it must be more than 0"),
        (
            "<MEMORY><![CDATA[512]]></MEMORY>",
            "<MEMORY>0</MEMORY>",
            "VM/TEMPLATE/MEMORY is 0: a VM needs some",
        ),
        ("<MEMORY><![CDATA[512]]></MEMORY>", "", "VM/TEMPLATE/MEMORY is missing"),
        ("<VCPU><![CDATA[2]]></VCPU>", "<VCPU>0</VCPU>", "VM/TEMPLATE/VCPU is 0"),
        ("<VCPU_MAX><![CDATA[4]]></VCPU_MAX>", "<VCPU_MAX>4000</VCPU_MAX>", "VM/TEMPLATE/VCPU is 4000"),
        ("<ID>1</ID>", "<ID>one</ID>", "VM/ID is \"one\""),
        ("<DISK_ID><![CDATA[1]]></DISK_ID>", "<DISK_ID>0</DISK_ID>", "several disks with the same DISK_ID"),
        (
            "platform:viridian=true",
            "other-config:one_vm_id=7",
            "VM/TEMPLATE/RAW/DATA: \"other-config:one_vm_id\" may not be set",
        ),
        (
            "platform:viridian=true",
            "is-a-template=true",
            "VM/TEMPLATE/RAW/DATA: \"is-a-template\" may not be set",
        ),
        ("platform:viridian=true", "--multiple", "VM/TEMPLATE/RAW/DATA"),
    ];
    for (old, new, words) in cases {
        refused(&host, &with(old, new), words);
    }
}

#[test]
fn what_the_pool_or_the_host_does_not_have() {
    let host = Host::new();
    refused(
        &host,
        &with("<BRIDGE><![CDATA[xenbr0]]></BRIDGE>", "<BRIDGE>xenbr9</BRIDGE>"),
        "VM/TEMPLATE/NIC/BRIDGE: no network of the pool has the bridge, name or uuid \"xenbr9\"; its bridges are",
    );
    let before = host.dump();
    let line = host.deploy_document("nowhere", &Recorded::load("deploy").stdin).failure();
    assert!(line.contains("no host of the pool goes by the name \"nowhere\"; it has "), "{line}");
    host.is_as(&before);
    let file = host.vm_folder(0, 1).join("disk.0");
    fs::remove_file(&file).unwrap();
    let whole = Recorded::load("deploy").stdin;
    refused(&host, &whole, &format!("VM/TEMPLATE/DISK (disk 0): cannot read image {}", file.display()));
    fs::create_dir(&file).unwrap();
    refused(&host, &whole, &file.display().to_string());
}

#[test]
fn a_tenants_name_stays_a_name() {
    let names = [
        "x\nuuid ( RO): 00000000-0000-4000-8000-000000000000\n     power-state ( RO): halted",
        "server=192.168.99.99",
        "--multiple",
        "a; $(touch pwned) `id` \"'",
        "a=b; one_vm_id: 7",
    ];
    for name in names {
        let host = Host::new();
        let document = with("<NAME>web server 1</NAME>", &format!("<NAME><![CDATA[{name}]]></NAME>"));
        let uuid = host.deploy_document("xcp-a", &document).ok();
        assert_eq!(host.vm_param(&uuid, "name-label"), "one-1");
        assert_eq!(host.vm_param(&uuid, "name-description"), one_xcp::report::one_line(name));
        assert_eq!(host.run("poll", &[&uuid, "xcp-a"], b"").ok(), "STATE=a MEMORY=524288");
        host.on_vm("shutdown", "shutdown.3", &uuid).ok();
        assert!(!host.path("pwned").exists());
    }
}

#[test]
fn a_uuid_that_is_none_reaches_no_vm() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    for deploy_id in
        ["", " ", "one-1", "--multiple", "all", "uuid", &uuid[..35], &format!("{uuid}\nforce=true")]
    {
        for action in ["shutdown", "cancel", "migrate", "poll"] {
            let args = if action == "migrate" {
                vec![deploy_id, "xcp-b", "xcp-a", "1", "xcp-a"]
            } else {
                vec![deploy_id, "xcp-a", "1", "xcp-a"]
            };
            let said = host.run(action, &args, &Recorded::load("shutdown").stdin);
            assert_ne!(said.code, Some(0), "{action} {deploy_id:?}: {said:#?}");
            assert_eq!(said.stderr.lines().count(), 1, "{action} {deploy_id:?}: {said:#?}");
        }
    }
    host.is_as(&before);
}

#[test]
fn a_setting_that_cannot_be_is_named() {
    let host = Host::new().set("SHUTDOWN_TIMEOUT", "soon");
    let uuid = host.deploy().ok();
    let line = host.on_vm("shutdown", "shutdown", &uuid).failure();
    assert!(
        line.contains("SHUTDOWN_TIMEOUT is \"soon\" in the environment: it must be a number of seconds"),
        "{line}"
    );
    let host = Host::new().set("DEFAULT_SR", "no such storage");
    let line = host.deploy().failure();
    assert!(
        line.contains("DEFAULT_SR: the pool has no SR with the name-label \"no such storage\""),
        "{line}"
    );
}
