//! Changed block tracking as XAPI and its storage manager have it (xapi `xapi_vdi.ml`, sm `VDI.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Host, Said, said};

const UNIT: u64 = 64 << 10;

struct Tracked {
    host: Host,
    disk: String,
}

impl Tracked {
    /// A tracked disk of 10 MiB on the default SR.
    fn new() -> Tracked {
        let host = Host::new();
        let sr = format!("sr-uuid={}", common::data_disk::default_sr(&host));
        let disk = host.xe(&["vdi-create", &sr, "name-label=d", "virtual-size=10MiB"]);
        common::sparse_file(&host.path("d.raw"), 10 << 20, &[(0, b"boot")]);
        let file = format!("filename={}", host.path("d.raw").display());
        host.xe(&["vdi-import", &format!("uuid={disk}"), &file]);
        let tracked = Tracked { host, disk };
        tracked.on("vdi-enable-cbt", &tracked.disk);
        tracked
    }

    fn on(&self, verb: &str, disk: &str) -> String {
        self.host.xe(&[verb, &format!("uuid={disk}")])
    }

    fn refused(&self, args: &[&str]) -> String {
        let said: Said = said(self.host.command(self.host.path("bin/xe")).args(args), b"");
        assert_eq!(said.code, Some(1), "{said:#?}");
        said.stderr
    }

    fn field(&self, disk: &str, name: &str) -> String {
        self.host.xe(&["vdi-param-get", &format!("uuid={disk}"), &format!("param-name={name}")])
    }

    fn write(&self, block: u64) {
        self.host.write_vdi(&self.disk, block * UNIT, &[0xc5]);
    }

    /// The blocks that have changed from one to the other.
    fn changes(&self, from: &str, to: &str) -> Vec<usize> {
        let args = [format!("vdi-from-uuid={from}"), format!("vdi-to-uuid={to}")];
        let bits = STANDARD.decode(self.host.xe(&["vdi-list-changed-blocks", &args[0], &args[1]])).unwrap();
        assert_eq!(bits.len(), 20, "a bit for each of 160 blocks");
        (0..160).filter(|block| bits[block / 8] & (0x80 >> (block % 8)) != 0).collect()
    }
}

#[test]
fn the_blocks_between_two_snapshots_are_listed() {
    let tracked = Tracked::new();
    let snapshot = || tracked.on("vdi-snapshot", &tracked.disk);
    let first = snapshot();
    assert_eq!(tracked.field(&first, "cbt-enabled"), "true");
    tracked.write(3);
    tracked.write(159);
    let second = snapshot();
    tracked.write(4);
    let third = snapshot();
    tracked.write(0);
    assert_eq!(tracked.changes(&first, &second), [3, 159]);
    assert_eq!(tracked.changes(&first, &third), [3, 4, 159]);
    assert_eq!(tracked.changes(&second, &third), [4]);
    assert_eq!(tracked.changes(&third, &tracked.disk), [0]);
    assert_eq!(tracked.changes(&first, &tracked.disk), [0, 3, 4, 159]);
    // One that goes leaves what it knew to the next.
    tracked.on("vdi-destroy", &second);
    assert_eq!(tracked.changes(&first, &third), [3, 4, 159]);
    tracked.on("vdi-destroy", &third);
    assert_eq!(tracked.changes(&first, &tracked.disk), [0, 3, 4, 159]);
}

#[test]
fn a_snapshot_without_its_data_still_tells_the_changes() {
    let tracked = Tracked::new();
    let first = tracked.on("vdi-snapshot", &tracked.disk);
    tracked.write(7);
    tracked.on("vdi-data-destroy", &first);
    tracked.on("vdi-data-destroy", &first);
    assert_eq!(tracked.field(&first, "type"), "CBT metadata");
    assert_eq!(tracked.field(&first, "physical-utilisation"), "20");
    let bases = tracked.host.xe(&["vdi-list", "managed=false", "--minimal"]);
    assert_eq!(bases, "", "nothing is held for it");
    let second = tracked.on("vdi-snapshot", &tracked.disk);
    assert_eq!(tracked.changes(&first, &second), [7]);
    let first_uuid = format!("uuid={first}");
    for verb in ["vdi-clone", "vdi-snapshot", "vdi-enable-cbt"] {
        let line = tracked.refused(&[verb, &first_uuid]);
        assert!(line.contains("VDI_INCOMPATIBLE_TYPE") && line.contains(", CBT metadata"), "{verb}: {line}");
    }
    let file = format!("filename={}", tracked.host.path("out").display());
    let line = tracked.refused(&["vdi-export", &first_uuid, &file]);
    assert!(line.contains(", CBT metadata"), "{line}");
    tracked.on("vdi-destroy", &first);
}

#[test]
fn what_cannot_be_told_is_refused() {
    let tracked = Tracked::new();
    let first = tracked.on("vdi-snapshot", &tracked.disk);
    let list = |from: &str, to: &str| {
        let args = [format!("vdi-from-uuid={from}"), format!("vdi-to-uuid={to}")];
        tracked.refused(&["vdi-list-changed-blocks", &args[0], &args[1]])
    };
    let failed = "Error code: SR_BACKEND_FAILURE_460\nError parameters: , Failed to calculate changed blocks for given VDIs.";
    assert_eq!(list(&first, &first), format!("{failed} [opterr=Source and target VDI are same], \n"));
    let unrelated = format!("{failed} [opterr=Source and target VDI are unrelated], \n");
    assert_eq!(list(&tracked.disk, &first), unrelated);
    // Tracked anew, the disk knows nothing of what was before.
    tracked.on("vdi-disable-cbt", &tracked.disk);
    assert_eq!(tracked.field(&first, "cbt-enabled"), "true");
    tracked.on("vdi-enable-cbt", &tracked.disk);
    let second = tracked.on("vdi-snapshot", &tracked.disk);
    assert_eq!(list(&first, &second), unrelated);
    // A clone is another disk, and not tracked.
    let clone = tracked.on("vdi-clone", &tracked.disk);
    assert_eq!(tracked.field(&clone, "cbt-enabled"), "false");
    assert_eq!(list(&second, &clone), unrelated);
}

#[test]
fn only_disks_are_tracked_and_only_snapshots_lose_their_data() {
    let tracked = Tracked::new();
    let first = tracked.on("vdi-snapshot", &tracked.disk);
    let disk = format!("uuid={}", tracked.disk);
    let line = tracked.refused(&["vdi-enable-cbt", &format!("uuid={first}")]);
    assert!(line.contains("VDI is a snapshot"), "{line}");
    let line = tracked.refused(&["vdi-data-destroy", &disk]);
    assert!(line.contains("VDI is not a snapshot"), "{line}");
    let line = tracked.refused(&["vdi-param-set", &disk, "on-boot=reset"]);
    assert!(line.contains("VDI_CBT_ENABLED"), "{line}");
    tracked.on("vdi-disable-cbt", &tracked.disk);
    let untracked = tracked.on("vdi-snapshot", &tracked.disk);
    let line = tracked.refused(&["vdi-data-destroy", &format!("uuid={untracked}")]);
    assert!(line.contains("VDI_NO_CBT_METADATA"), "{line}");
    let tools = tracked.host.xe(&["vdi-list", "name-label=guest-tools.iso", "--minimal"]);
    let line = tracked.refused(&["vdi-enable-cbt", &format!("uuid={tools}")]);
    assert!(line.contains("SR_OPERATION_NOT_SUPPORTED"), "{line}");
    tracked.host.xe(&["vdi-param-set", &disk, "on-boot=reset"]);
    for verb in ["vdi-enable-cbt", "vdi-snapshot"] {
        let line = tracked.refused(&[verb, &disk]);
        assert!(line.contains("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"), "{line}");
    }
}

#[test]
fn a_tracked_disk_of_a_running_vm_does_not_move() {
    let host = Host::new();
    let vm = host.xe(&["vm-list", "name-label=Mail server", "params=uuid", "--minimal"]);
    let disk = host.vdi_in(&vm, "0");
    let tracked = Tracked { host, disk };
    tracked.on("vdi-enable-cbt", &tracked.disk);
    let local = tracked.host.xe(&["sr-list", "name-label=Local storage", "--minimal"]);
    let on = tracked.host.vm_param(&vm, "resident-on");
    let reached = local.split(',').find(|sr| {
        let filters = [format!("sr-uuid={sr}"), format!("host-uuid={on}")];
        !tracked.host.xe(&["pbd-list", &filters[0], &filters[1], "--minimal"]).is_empty()
    });
    let (disk, sr) = (format!("uuid={}", tracked.disk), format!("sr-uuid={}", reached.unwrap()));
    let line = tracked.refused(&["vdi-pool-migrate", &disk, &sr]);
    assert!(line.contains("VDI_CBT_ENABLED"), "{line}");
    // Its snapshots can be told apart while it runs, the disk itself not.
    let first = tracked.on("vdi-snapshot", &tracked.disk);
    let second = tracked.on("vdi-snapshot", &tracked.disk);
    let args = [format!("vdi-from-uuid={first}"), format!("vdi-to-uuid={second}")];
    assert_eq!(tracked.host.xe(&["vdi-list-changed-blocks", &args[0], &args[1]]).len() % 4, 0);
    let to = format!("vdi-to-uuid={}", tracked.disk);
    let line = tracked.refused(&["vdi-list-changed-blocks", &args[0], &to]);
    assert!(line.contains("operation: list_changed_blocks"), "{line}");
}
