//! Which position a disk has among a VM's devices: where TARGET says, and the disk that the VM boots from before the
//! discs. The table of all cases is in `translate/device.rs`.
use crate::common::data_disk::{DISK_3_AS_CD, DISK_3_END, attach, make_file, running, vbds};
use crate::common::{Host, Recorded, Said, sparse_file};

/// The recorded deployment with one more volatile disk for each TARGET, numbered from 10, and their files.
fn with_disks(host: &Host, targets: &[&str]) -> Recorded {
    let disk = |(number, target): (u32, &&str)| {
        sparse_file(&host.vm_folder(0, 1).join(format!("disk.{number}")), 1 << 20, &[]);
        format!(
            "<DISK><DISK_ID>{number}</DISK_ID><FORMAT>raw</FORMAT><SIZE>1</SIZE><TARGET>{target}</TARGET>\
             <TM_MAD>ssh</TM_MAD><TYPE>fs</TYPE></DISK>"
        )
    };
    let disks: String = (10..).zip(targets).map(disk).collect();
    Recorded::load("deploy").with("<VCPU_MAX>", &format!("{disks}<VCPU_MAX>"))
}

fn place(host: &Host, uuid: &str, disk_id: u32) -> String {
    vbds(host, uuid, &format!("vdi-name-label=one-1-disk-{disk_id}"), "userdevice")
}

fn warnings(said: &Said) -> Vec<String> {
    let of_target = |line: &&&str| line.starts_with("WARN") && line.contains("TARGET");
    said.log().iter().filter(of_target).map(|line| (*line).to_owned()).collect()
}

#[test]
fn twenty_disks_are_where_their_targets_are_and_what_moves_is_named_each_time() {
    let host = Host::new();
    let before = host.dump();
    let letters: Vec<String> = ('c'..='t').map(|letter| format!("sd{letter}")).collect();
    let targets: Vec<&str> = letters.iter().map(String::as_str).collect();
    let document = with_disks(&host, &targets);
    let said = host.deploy_document("xcp-a", &document.stdin);
    assert_eq!(
        warnings(&said),
        ["WARN: disk 11: TARGET sdd is the place of the CD drive: the guest sees it as xvdu"]
    );
    let uuid = said.ok();
    assert_eq!(["10", "12", "27"].map(|id| place(&host, &uuid, id.parse().unwrap())), ["2", "4", "19"]);
    assert_eq!(place(&host, &uuid, 11), "20");
    // Also when it starts again.
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let again = host.deploy_document("xcp-a", &document.stdin);
    assert_eq!(warnings(&again).len(), 1, "{again:?}");
    host.on_vm("cancel", "shutdown.3", &again.ok()).ok();
    host.is_as(&before);
}

#[test]
fn a_disk_is_attached_where_its_target_is_beyond_the_first_sixteen() {
    for (target, place) in [("sdq", "16"), ("xvdaa", "26"), ("sdiu", "254")] {
        let (host, uuid) = running();
        let target = format!("<TARGET><![CDATA[{target}]]></TARGET>");
        let said = attach().with("<TARGET><![CDATA[sdc]]></TARGET>", &target).run(&host, &uuid);
        assert_eq!(warnings(&said), [""; 0]);
        said.ok();
        assert_eq!(self::place(&host, &uuid, 3), place);
    }
}

#[test]
fn a_disk_whose_target_is_taken_is_attached_behind_the_first_and_named() {
    let (host, uuid) = running();
    let said = attach()
        .with("<TARGET><![CDATA[sdc]]></TARGET>", "<TARGET><![CDATA[sdd]]></TARGET>")
        .run(&host, &uuid);
    assert_eq!(warnings(&said), ["WARN: disk 3: TARGET sdd: that place is taken; the guest sees it as xvdc"]);
    said.ok();
    assert_eq!(place(&host, &uuid, 3), "2");
}

/// As an HVM guest's firmware boots the first disk.
#[test]
fn a_disc_never_gets_a_place_before_the_only_disk() {
    let host = Host::new().set("CONTEXT_DEVICE", "disk");
    let document = Recorded::load("deploy")
        .with("<TARGET><![CDATA[xvda]]></TARGET>", "<TARGET><![CDATA[xvdb]]></TARGET>")
        .with("<TYPE><![CDATA[swap]]></TYPE>", "<TYPE><![CDATA[CDROM]]></TYPE>");
    let uuid = host.deploy_document("xcp-a", &document.stdin).ok();
    // The context disc's TARGET is sda, that of the CD sdb.
    assert_eq!([0, 2, 1].map(|disk_id| place(&host, &uuid, disk_id)), ["1", "2", "3"]);
    make_file(&host);
    let target = "<TARGET><![CDATA[sda]]></TARGET>";
    let end = DISK_3_AS_CD.replace("<TARGET><![CDATA[sdc]]></TARGET>", target);
    attach().with(DISK_3_END, &end).run(&host, &uuid).ok();
    assert_eq!(place(&host, &uuid, 3), "4");
}

#[test]
fn the_disk_that_os_boot_names_is_the_first_of_an_hvm_guest() {
    let host = Host::new();
    let document = with_disks(&host, &["sdc"]);
    let text = String::from_utf8(document.stdin).unwrap();
    let start = text.find("<OS>").unwrap() + "<OS>".len();
    let end = text.find("</OS>").unwrap();
    let document = format!("{}<BOOT>disk10</BOOT>{}", &text[..start], &text[end..]);
    let said = host.deploy_document("xcp-a", document.as_bytes());
    assert!(warnings(&said).iter().any(|line| line.contains("disk 0: TARGET xvda")), "{said:?}");
    let uuid = said.ok();
    assert_eq!(place(&host, &uuid, 10), "0");
    let bootable = vbds(&host, &uuid, "bootable=true", "userdevice");
    assert_eq!(bootable, "0");
}

#[test]
fn a_disk_that_comes_to_a_vm_with_snapshots_takes_no_place_that_is_taken() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-snapshot", &format!("uuid={uuid}"), "new-name-label=by hand"]);
    make_file(&host);
    let tools = host.xe(&["vdi-create", "name-label=by hand", "virtual-size=1MiB", &default_sr(&host)]);
    let [vm, vdi] = [format!("vm-uuid={uuid}"), format!("vdi-uuid={tools}")];
    host.xe(&["vbd-create", &vm, &vdi, "device=2"]);
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    let said = host.deploy_document("xcp-a", &with_disks(&host, &["sdc"]).stdin);
    assert_eq!(warnings(&said).len(), 1, "{said:?}");
    assert_eq!(said.ok(), uuid);
    assert_eq!(place(&host, &uuid, 10), "4");
}

fn default_sr(host: &Host) -> String {
    format!("sr-uuid={}", host.xe(&["pool-list", "params=default-SR", "--minimal"]))
}

#[test]
fn more_disks_than_xapi_has_devices_are_refused_before_anything_is_made() {
    let host = Host::new();
    let before = host.dump();
    let targets = vec!["sda"; 255];
    let line = host.deploy_document("xcp-a", &with_disks(&host, &targets).stdin).failure();
    assert!(line.contains("more than the 255 that XAPI gives a VM"), "{line}");
    host.is_as(&before);
}
