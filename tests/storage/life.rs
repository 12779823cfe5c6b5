//! A VM's whole life on disks of an SR: which VDI it runs on, and what is left after it.

use crate::common::{PROGRAM, Recorded, Said, said};
use crate::site::{DISK_0, IN_XCP, OS, OS_UUID, Site};

const POWEROFF: &str = "shutdown";
const TERMINATE: &str = "shutdown.3";

struct Life {
    site: Site,
    source: String,
    /// The pool with the image and without the VM.
    before: String,
}

impl Life {
    /// An image, and VM 1's disk 0 brought from it by `script`.
    fn begin(script: &str) -> Life {
        let site = Site::new();
        let source = site.image();
        let disk = "<DISK><DISK_ID>0</DISK_ID></DISK>";
        site.has("onevm.1", &format!("<VM><ID>1</ID><TEMPLATE>{disk}{OS}</TEMPLATE></VM>"));
        let before = site.host.dump();
        let life = Life { site, source, before };
        std::fs::remove_file(life.site.host.vm_folder(0, 1).join("disk.0")).unwrap();
        let source = format!("frontend:{}", life.source);
        life.site.tm(script, &[&source, &life.place("/disk.0"), "1", "101"]).ok();
        life
    }

    fn place(&self, below: &str) -> String {
        format!("xcp-a:{}{below}", self.site.host.vm_folder(0, 1).display())
    }

    fn disk(&self) -> String {
        let file = self.site.host.vm_folder(0, 1).join("disk.0");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn deploy(&self) -> String {
        self.site.deploy_with_disk_on_sr()
    }

    fn shutdown(&self, recorded: &str, uuid: &str) -> Said {
        let message = Recorded::load(recorded).with(DISK_0, IN_XCP);
        self.site.host.run("shutdown", &[uuid, "xcp-a", "1", "xcp-a"], &message.stdin)
    }

    /// What OpenNebula says of the VM: disk 0 is of an `xcp` datastore.
    fn message(&self, recorded: &str, persistent: bool, with_snapshots: bool) -> Vec<u8> {
        let save = if persistent { "YES" } else { "NO" };
        let snapshots = "<SNAPSHOTS><DISK_ID>0</DISK_ID><SNAPSHOT><ID>0</ID></SNAPSHOT></SNAPSHOTS><BACKUPS>";
        let recorded = Recorded::load(recorded)
            .with(DISK_0, IN_XCP)
            .with("/var/lib/one//datastores/1/cc46389fb33d6f36eb7d6179f1824f52", &self.source)
            .with("<BACKUPS>", if with_snapshots { snapshots } else { "<BACKUPS>" });
        let document = String::from_utf8(recorded.stdin).unwrap();
        let (head, disk) = document.split_once("<DISK_ID><![CDATA[0]]>").unwrap();
        let disk = disk.replacen("<SAVE><![CDATA[NO]]>", &format!("<SAVE><![CDATA[{save}]]>"), 1);
        format!("{head}<DISK_ID><![CDATA[0]]>{disk}").into_bytes()
    }

    /// What OpenNebula calls for a VM that is gone: its disks, then its folder.
    fn delete(&self) {
        self.site.tm("delete", &[&self.place("/disk.0"), "1", "101"]).ok();
        self.site.tm("delete", &[&self.place(""), "1", "0"]).ok();
    }
}

#[test]
fn a_clone_keeps_its_data_over_a_power_off_and_goes_with_the_vm() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    assert_eq!(life.site.host.vdi_in(&vm, "0"), life.disk());
    life.site.host.write_vdi(&life.disk(), 0, b"guest");
    life.shutdown(POWEROFF, &vm).ok();
    assert!(life.site.is_there(&life.disk()));
    let vm = life.deploy();
    assert_eq!(&life.site.host.vdi_bytes(&life.site.host.vdi_in(&vm, "0"))[..5], b"guest");
    assert_eq!(&life.site.host.vdi_bytes(&life.source)[..5], b"boot\0");
    life.shutdown(TERMINATE, &vm).ok();
    life.delete();
    life.site.host.is_as(&life.before);
}

#[test]
fn a_persistent_image_has_the_guests_writes_at_the_end() {
    let life = Life::begin("ln");
    let vm = life.deploy();
    assert_eq!(life.site.host.vdi_in(&vm, "0"), life.source);
    life.site.host.write_vdi(&life.source, 0, b"guest");
    life.shutdown(TERMINATE, &vm).ok();
    life.site.tm("mvds", &[&life.place("/disk.0"), &life.source, "1", "101"]).ok();
    life.site.tm("delete", &[&life.place(""), "1", "0"]).ok();
    assert_eq!(&life.site.host.vdi_bytes(&life.source)[..5], b"guest");
    assert_eq!(life.site.tagged("one-image-2"), [life.source.as_str()]);
    assert!(life.site.host.xe(&["vbd-list", &format!("vdi-uuid={}", life.source), "--minimal"]).is_empty());
}

#[test]
fn a_vm_that_is_terminated_while_suspended_or_off_leaves_nothing() {
    for state in ["suspend", "shutdown"] {
        let life = Life::begin("clone");
        let vm = life.deploy();
        life.site.host.xe(&[&format!("vm-{state}"), &format!("uuid={vm}")]);
        life.delete();
        life.site.host.is_as(&life.before);
        assert!(!life.site.host.vm_folder(0, 1).exists(), "{state}");
    }
}

#[test]
fn a_suspended_or_stopped_vm_is_ended_before_its_disks_are_removed() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    life.site.host.xe(&["vm-suspend", &format!("uuid={vm}")]);
    life.site.host.forget_calls();
    life.site.tm("delete", &[&life.place("/disk.0"), "1", "101"]).ok();
    let calls = life.site.host.calls();
    let changes: Vec<&str> = calls
        .iter()
        .filter_map(|call| call.line.split_whitespace().next())
        .filter(|verb| ["vm-shutdown", "vdi-destroy"].contains(verb))
        .collect();
    assert_eq!(changes, ["vm-shutdown", "vdi-destroy"], "XAPI has nothing to refuse: {calls:#?}");
    assert_eq!(life.site.host.vm_param(&vm, "power-state"), "halted");
    life.site.tm("delete", &[&life.place(""), "1", "0"]).ok();
    life.site.host.is_as(&life.before);
}

/// Another machine's VM 1 with this disk: its record has another OS/UUID.
fn is_another_machines(life: &Life, vm: &str) {
    let other = OS_UUID.replace("3c1c", "7d0e");
    let mark = format!("other-config:one_os_uuid={other}");
    life.site.host.xe(&["vm-param-set", &format!("uuid={vm}"), &mark]);
}

#[test]
fn a_vm_of_another_opennebula_with_the_same_number_stays_as_it_is() {
    for state in ["suspend", "shutdown"] {
        let life = Life::begin("clone");
        let vm = life.deploy();
        life.site.host.xe(&[&format!("vm-{state}"), &format!("uuid={vm}")]);
        is_another_machines(&life, &vm);
        let before = life.site.host.dump();
        let said = life.site.tm("delete", &[&life.place(""), "1", "0"]);
        let warned = said.log().join("\n");
        assert!(warned.contains(&vm) && warned.contains("one-xcp gc"), "{warned}");
        said.ok();
        life.site.host.is_as(&before);
    }
}

#[test]
fn a_vm_whose_os_uuid_opennebula_does_not_tell_stays_as_it_is() {
    let answers = [
        ("", "cannot"),
        ("<VM><ID>1</ID><TEMPLATE/></VM>", "tells no OS/UUID"),
        ("<VM><ID>1</ID><TEMPLATE><OS><UUID>junk</UUID></OS></TEMPLATE></VM>", "tells no OS/UUID"),
        ("<VM><ID>7</ID><TEMPLATE/></VM>", "answers with VM \"7\""),
        ("<VM><ID>1</ID><TEMPLATE>", "onevm show 1"),
    ];
    let life = Life::begin("clone");
    let vm = life.deploy();
    life.site.host.xe(&["vm-suspend", &format!("uuid={vm}")]);
    let before = life.site.host.dump();
    for (answer, words) in answers {
        life.site.has("onevm.1", answer);
        for below in ["/disk.0", ""] {
            let place = life.place(below);
            let why =
                life.site.tm("delete", &[&place, "1", if below.is_empty() { "0" } else { "101" }]).failure();
            assert!(why.contains(words) && why.contains("one-xcp gc"), "{answer}: {why}");
            life.site.host.is_as(&before);
        }
    }
    // Of releases before 6.0, and of drivers before this mark.
    let unmark =
        ["vm-param-remove", &format!("uuid={vm}"), "param-name=other-config", "param-key=one_os_uuid"];
    life.site.host.xe(&unmark);
    life.delete();
    life.site.host.is_as(&life.before);
}

/// `onevm updateconf` with a file that has no OS takes a VM's OS/UUID away.
#[test]
fn a_vm_that_has_lost_its_os_uuid_is_told_by_its_deploy_id_and_a_mac() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    life.site.host.xe(&["vm-suspend", &format!("uuid={vm}")]);
    let mac = life.site.host.xe(&["vif-list", &format!("vm-uuid={vm}"), "params=MAC", "--minimal"]);
    let told = |deploy_id: &str, mac: &str, os: &str| {
        let nic = format!("<NIC><MAC>{mac}</MAC></NIC>");
        let answer =
            format!("<VM><ID>1</ID><DEPLOY_ID>{deploy_id}</DEPLOY_ID><TEMPLATE>{nic}{os}</TEMPLATE></VM>");
        life.site.has("onevm.1", &answer);
    };
    let before = life.site.host.dump();
    for (deploy_id, mac, os) in [
        (OS_UUID, mac.as_str(), ""),
        (&vm, "02:00:00:00:00:99", ""),
        (&vm, "", ""),
        (&vm, &mac, "<OS><UUID>junk</UUID></OS>"),
    ] {
        told(deploy_id, mac, os);
        let why = life.site.tm("delete", &[&life.place(""), "1", "0"]).failure();
        assert!(why.contains("tells no OS/UUID"), "{deploy_id} {mac} {os}: {why}");
        life.site.host.is_as(&before);
    }
    told(&vm, &mac.to_uppercase(), "");
    life.delete();
    life.site.host.is_as(&life.before);
}

#[test]
fn a_running_vm_is_not_deleted() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    let said = life.site.tm("delete", &[&life.place(""), "1", "0"]).failure();
    assert!(said.contains("is running: it is not removed"), "{said}");
    assert_eq!(life.site.host.vm_param(&vm, "power-state"), "running");
    assert!(life.site.host.vm_folder(0, 1).exists());
}

#[test]
fn a_snapshot_is_taken_live_and_gone_back_to_when_the_vm_is_off() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    let place = life.place("/disk.0");
    life.site.tm("snap_create_live", &[&place, "0", "1", "101"]).ok();
    life.site.host.write_vdi(&life.disk(), 0, b"guest");
    let before = life.site.host.dump();
    life.site.tm("snap_revert", &[&place, "0", "1", "101"]).failure();
    life.site.host.is_as(&before);
    // It is for the VM's driver to resize a disk in use.
    life.site.tm("resize", &[&place, "64", "1", "101"]).ok();
    life.site.host.is_as(&before);
    life.shutdown(POWEROFF, &vm).ok();
    life.site.tm("snap_revert", &[&place, "0", "1", "101"]).ok();
    let vm = life.deploy();
    let vdi = life.site.host.vdi_in(&vm, "0");
    assert_eq!((vdi.as_str(), &life.site.host.vdi_bytes(&vdi)[..5]), (life.disk().as_str(), &b"boot\0"[..]));
    life.shutdown(TERMINATE, &vm).ok();
    life.delete();
    life.site.host.is_as(&life.before);
}

#[test]
fn a_disk_that_moved_to_another_sr_is_still_the_vms_and_the_images() {
    let life = Life::begin("ln");
    let vm = life.deploy();
    let local = life.site.local_sr_of(&life.site.host.host_of(&vm));
    let (vdi, sr) = (format!("uuid={}", life.source), format!("sr-uuid={local}"));
    let moved = life.site.host.xe(&["vdi-pool-migrate", &vdi, &sr]);
    assert!(!life.site.is_there(&life.source));
    let folder = life.site.host.vm_folder(0, 1).display().to_string();
    // As tm/ssh/postmigrate tells it, whose system datastore it is.
    life.site.tm("postmigrate", &["xcp-b", "xcp-a", &folder, "1", "0", "ssh"]).ok();
    assert_eq!(life.disk(), moved);
    life.shutdown(POWEROFF, &vm).ok();
    assert_eq!(life.site.host.vdi_in(&life.deploy(), "0"), moved);
    life.site.tm("mvds", &[&life.place("/disk.0"), &life.source, "1", "101"]).ok();
    life.site.tm("ln", &[&format!("fe:{}", life.source), &life.place("/disk.0"), "1", "101"]).ok();
    assert_eq!(life.disk(), moved);
}

#[test]
fn a_clone_that_moved_to_another_sr_goes_with_the_vm() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    let local = life.site.local_sr_of(&life.site.host.host_of(&vm));
    let vdi = format!("uuid={}", life.disk());
    let moved = life.site.host.xe(&["vdi-pool-migrate", &vdi, &format!("sr-uuid={local}")]);
    assert_eq!(life.site.vdi_param(&moved, "tags"), "", "XAPI makes it anew");
    let folder = life.site.host.vm_folder(0, 1).display().to_string();
    life.site.tm("postmigrate", &["xcp-b", "xcp-a", &folder, "1", "0", "ssh"]).ok();
    assert_eq!(life.disk(), moved);
    life.shutdown(TERMINATE, &vm).ok();
    life.site.tm("delete", &[&life.place("/disk.0"), "1", "0"]).ok();
    life.site.tm("delete", &[&life.place(""), "1", "0"]).ok();
    assert!(!life.site.is_there(&moved));
}

#[test]
fn after_a_vms_snapshot_the_image_and_its_snapshots_are_found_by_the_uuid_that_opennebula_keeps() {
    for script in ["ln", "clone"] {
        let life = Life::begin(script);
        let host = &life.site.host;
        let vm = life.deploy();
        let (first, place) = (life.disk(), life.place("/disk.0"));
        let message = |name: &str| life.message(name, script == "ln", true);
        life.site.tm("snap_create_live", &[&place, "0", "1", "101"]).ok();
        host.write_vdi(&first, 0, b"guest");
        let snapshot =
            host.run("snapshot_create", &[&vm, "0", "1", "xcp-a"], &message("snapshot_create")).ok();
        let revert = || {
            host.write_vdi(&life.disk(), 0, b"lost!");
            host.run("snapshot_revert", &[&vm, &snapshot, "1", "xcp-a"], &message("snapshot_revert")).ok();
            let now = host.vdi_in(&vm, "0");
            assert_eq!((life.disk(), &host.vdi_bytes(&now)[..5]), (now.clone(), &b"guest"[..]), "{script}");
            now
        };
        // The first one's own uuid is gone; the second time it is a tag's.
        for _ in 0..2 {
            let now = revert();
            assert_ne!(now, first);
            assert_eq!(life.site.tagged(&format!("one-source-{first}")), [now.as_str()], "{script}");
        }
        host.run("snapshot_delete", &[&vm, &snapshot, "1", "xcp-a"], &message("snapshot_delete")).ok();
        life.shutdown(POWEROFF, &vm).ok();
        life.site.tm("snap_revert", &[&place, "0", "1", "101"]).ok();
        assert_eq!(&host.vdi_bytes(&life.disk())[..5], b"boot\0", "{script}");
        if script == "ln" {
            life.site.tm("mvds", &[&place, &life.source, "1", "101"]).ok();
            life.site.tm("ln", &[&format!("fe:{}", life.source), &place, "1", "101"]).ok();
            assert_eq!(&host.vdi_bytes(&life.disk())[..5], b"boot\0");
        }
    }
}

#[test]
fn a_vms_snapshot_with_one_disk_is_gone_back_to_with_eight_calls() {
    for script in ["ln", "clone"] {
        let life = Life::begin(script);
        let host = &life.site.host;
        let vm = life.deploy();
        // The swap disk is a file in what was recorded: detached, the disk is the only one.
        let of = format!("vm-uuid={vm}");
        let disk = host.xe(&["vbd-list", &of, "userdevice=0", "--minimal"]);
        let all = host.xe(&["vbd-list", &of, "type=Disk", "--minimal"]);
        for uuid in all.split(',').filter(|uuid| *uuid != disk) {
            host.xe(&["vbd-unplug", &format!("uuid={uuid}")]);
            host.xe(&["vbd-destroy", &format!("uuid={uuid}")]);
        }
        let run = |action: &str, what: &str| {
            host.forget_calls();
            host.run(action, &[&vm, what, "1", "xcp-a"], &life.message(action, script == "ln", false)).ok()
        };
        let snapshot = run("snapshot_create", "0");
        run("snapshot_revert", &snapshot);
        let calls = host.calls();
        assert!(calls.len() <= 8, "{script}: {calls:#?}");
        assert_eq!(life.disk(), host.vdi_in(&vm, "0"), "{script}");
    }
}

#[test]
fn after_a_vms_snapshot_gc_judges_the_image_by_what_opennebula_keeps() {
    let life = Life::begin("ln");
    let vm = life.deploy();
    let run = |action: &str, what: &str| {
        let message = life.message(action, true, false);
        life.site.host.run(action, &[&vm, what, "1", "xcp-a"], &message).ok()
    };
    let snapshot = run("snapshot_create", "0");
    run("snapshot_revert", &snapshot);
    let image = life.disk();
    life.shutdown(TERMINATE, &vm).ok();
    life.site.tm("mvds", &[&life.place("/disk.0"), &life.source, "1", "101"]).ok();
    life.delete();
    let gc = |source: &str| {
        let list = format!("<IMAGE_POOL><IMAGE><ID>99</ID><SOURCE>{source}</SOURCE></IMAGE></IMAGE_POOL>");
        std::fs::write(life.site.host.path("images.xml"), list).unwrap();
        life.site.gc(&["--images-of", "images.xml"]).ok()
    };
    assert_eq!(gc(&life.source), "");
    let shown = gc("11111111-2222-3333-4444-000000000001");
    assert!(shown.contains(&format!("VDI {image}")) && shown.contains("OpenNebula has no image"), "{shown}");
}

#[test]
fn gc_finds_all_of_a_vm_that_was_terminated_while_it_was_off_and_had_a_snapshot() {
    let life = Life::begin("clone");
    let vm = life.deploy();
    let message = life.message("snapshot_create", false, false);
    life.site.host.run("snapshot_create", &[&vm, "0", "1", "xcp-a"], &message).ok();
    life.site.host.xe(&["vm-shutdown", &format!("uuid={vm}")]);
    // The system datastore is a file datastore: its own script removes the folder, and none of ours the VM.
    life.site.tm("delete", &[&life.place("/disk.0"), "1", "101"]).ok();
    assert_eq!(life.site.host.xe(&["snapshot-list", "--minimal"]).split(',').count(), 1);
    let mut gc = life.site.host.command(PROGRAM);
    let removed = said(gc.args(["gc", "--yes", "--vms-of", "-"]), b"5").ok();
    assert!(removed.starts_with("removed  VM ") && removed.lines().count() == 1, "{removed}");
    life.site.host.is_as(&life.before);
}
