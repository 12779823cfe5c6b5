//! Several devices plugged into and out of one VM at the same moment: OpenNebula's `-p` lets that happen.
use crate::common::data_disk::{
    self, MIB, attach, detach, is_written_back, make_file, running, vbds, vdis, with_disk,
};
use crate::common::recorded_action::RecordedAction;
use crate::common::{Host, Said, said, sparse_file};
use std::collections::HashSet;
use std::thread;

/// Runs these actions on the VM at the same moment.
fn at_once(host: &Host, uuid: &str, actions: &[RecordedAction]) -> Vec<Said> {
    thread::scope(|scope| {
        let running: Vec<_> =
            actions.iter().map(|action| scope.spawn(move || action.run(host, uuid))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Attach another disk, all with the TARGET of disk 3.
fn attach_disk(host: &Host, disk_id: u32) -> RecordedAction {
    sparse_file(&data_disk::file(host, disk_id), 4 * MIB, &[(0, format!("disk {disk_id}").as_bytes())]);
    attach().with("<DISK_ID><![CDATA[3]]></DISK_ID>", &format!("<DISK_ID><![CDATA[{disk_id}]]></DISK_ID>"))
}

fn attach_nic(mac: &str, nic_id: u32) -> RecordedAction {
    let nic = |nic_id: u32| format!("<NIC_ID><![CDATA[{nic_id}]]></NIC_ID>");
    RecordedAction::load("attach_nic", "attach_nic")
        .with("02:00:c0:a8:0a:0b", mac)
        .with(&nic(1), &nic(nic_id))
}

/// Every VBD of the VM has a place of its own and its own VDI, and no VDI was made that the VM does not have.
#[track_caller]
fn is_sound(host: &Host, uuid: &str) {
    for field in ["userdevice", "vdi-uuid"] {
        let all = vbds(host, uuid, "unpluggable=true", field);
        let all: Vec<&str> = all.split(',').collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{field}: {all:?}");
    }
    let there = vbds(host, uuid, "unpluggable=true", "vdi-uuid");
    let made = host.xe(&["vdi-list", &format!("tags:contains=one-vm-{uuid}"), "--minimal"]);
    for vdi in made.split(',') {
        assert!(there.contains(vdi), "{vdi} is in no device: {there}");
    }
}

#[test]
fn the_same_disk_attached_twice_at_once_is_one_disk() {
    for _ in 0..3 {
        let (host, uuid) = running();
        for said in at_once(&host, &uuid, &[attach(), attach(), attach()]) {
            said.ok();
        }
        assert_eq!(vdis(&host).len(), 1);
        is_sound(&host, &uuid);
    }
}

#[test]
fn disks_and_nics_attached_at_once_are_all_there() {
    let (host, uuid) = running();
    let mut actions: Vec<RecordedAction> = (4..8).map(|disk_id| attach_disk(&host, disk_id)).collect();
    actions.extend((1..4).map(|nic_id| attach_nic(&format!("02:00:c0:a8:0b:0{nic_id}"), nic_id)));
    for said in at_once(&host, &uuid, &actions) {
        said.ok();
    }
    is_sound(&host, &uuid);
    for disk_id in 4..8 {
        let vdi = host.xe(&["vdi-list", &format!("name-label=one-1-disk-{disk_id}"), "--minimal"]);
        assert!(host.vdi_holds(&vdi, 0, format!("disk {disk_id}").as_bytes()));
        assert_eq!(vbds(&host, &uuid, &format!("vdi-uuid={vdi}"), "currently-attached"), "true");
    }
    let devices = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=device", "--minimal"]);
    let devices: HashSet<&str> = devices.split(',').collect();
    assert_eq!(devices, HashSet::from(["0", "1", "2", "3"]));
}

#[test]
fn from_two_machines_at_once_no_device_is_given_twice() {
    for _ in 0..3 {
        let (host, uuid) = running();
        let actions = [attach_disk(&host, 4), attach_disk(&host, 5)];
        let nics = [attach_nic("02:00:c0:a8:0b:01", 1), attach_nic("02:00:c0:a8:0b:02", 2)];
        // Each sees the VM as it is before the other has changed it.
        host.sim(&["delay", "any", "30"]);
        thread::scope(|scope| {
            for (number, action) in actions.iter().chain(&nics).enumerate() {
                let (host, uuid) = (&host, &uuid);
                scope.spawn(move || {
                    let (mut command, stdin) = action.command(host, uuid);
                    // Locks hold between the drivers of one machine.
                    let locks = host.path(&format!("locks-{number}"));
                    said(command.env("STATE_DIR", locks), &stdin).ok();
                });
            }
        });
        is_sound(&host, &uuid);
        assert_eq!(vbds(&host, &uuid, "currently-attached=true", "uuid").split(',').count(), 5);
        let vifs = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=device", "--minimal"]);
        assert_eq!(vifs.split(',').collect::<HashSet<_>>().len(), 3, "{vifs}");
    }
}

#[test]
fn detached_twice_at_once_it_is_written_back_once_and_gone() {
    let (host, uuid) = with_disk();
    for said in at_once(&host, &uuid, &[detach(), detach()]) {
        said.ok();
    }
    is_written_back(&host);
    assert_eq!(vdis(&host), [""; 0]);
    is_sound(&host, &uuid);
}

#[test]
fn attached_and_detached_at_once_it_is_there_or_not_and_nothing_is_between() {
    for _ in 0..3 {
        let (host, uuid) = running();
        for said in at_once(&host, &uuid, &[attach(), detach()]) {
            said.ok();
        }
        is_sound(&host, &uuid);
        assert_eq!(vdis(&host).len(), vbds(&host, &uuid, "userdevice=2", "uuid").len() / 36);
    }
}

#[test]
fn a_vm_that_is_terminated_while_a_disk_is_attached_leaves_nothing() {
    for _ in 0..3 {
        let host = Host::new();
        let empty = host.dump();
        let uuid = host.deploy().ok();
        make_file(&host);
        thread::scope(|scope| {
            let attaching = scope.spawn(|| attach().run(&host, &uuid));
            host.on_vm("shutdown", "shutdown.3", &uuid).ok();
            let said = attaching.join().unwrap();
            assert!(said.code == Some(0) || said.stderr.contains("the pool has no VM"), "{said:?}");
        });
        host.is_as(&empty);
    }
}
