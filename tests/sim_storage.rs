//! What kinds of SR differ in: room, trees of disks, their limits. The figures are the storage manager's
//! (sm `FileSR.py`, `LVHDSR.py`, `lvhdutil.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{Host, Said, said};

const MIB: u64 = 1 << 20;

/// A host with an SR of this type and size.
struct Storage {
    host: Host,
    sr: String,
}

impl Storage {
    fn new(kind: &str, size: &str) -> Storage {
        let host = Host::new();
        let (kind, size) = (format!("type={kind}"), format!("physical-size={size}"));
        let sr = host.xe(&["sr-create", "name-label=Tried", &kind, "shared=true", &size]);
        Storage { host, sr }
    }

    fn try_xe(&self, args: &[&str]) -> Said {
        said(self.host.command(self.host.path("bin/xe")).args(args), b"")
    }

    fn disk(&self, size: &str) -> String {
        let args = [format!("sr-uuid={}", self.sr), format!("virtual-size={size}")];
        self.host.xe(&["vdi-create", &args[0], "name-label=d", &args[1]])
    }

    /// A disk of 64 MiB that holds this.
    fn disk_with(&self, data: &[u8]) -> String {
        let disk = self.disk("64MiB");
        let file = self.host.path("data.raw");
        std::fs::write(&file, data).unwrap();
        self.host.xe(&["vdi-import", &format!("uuid={disk}"), &format!("filename={}", file.display())]);
        disk
    }

    fn on(&self, verb: &str, disk: &str) -> String {
        self.host.xe(&[verb, &format!("uuid={disk}")])
    }

    fn field(&self, disk: &str, name: &str) -> String {
        self.host.xe(&["vdi-param-get", &format!("uuid={disk}"), &format!("param-name={name}")])
    }

    fn takes(&self, disk: &str) -> u64 {
        self.field(disk, "physical-utilisation").parse().unwrap()
    }

    fn sr_figure(&self, name: &str) -> u64 {
        let params = [format!("uuid={}", self.sr), format!("params={name}")];
        self.host.xe(&["sr-list", &params[0], &params[1], "--minimal"]).parse().unwrap()
    }

    /// The disks that only others stand on.
    fn bases(&self) -> Vec<String> {
        let sr = format!("sr-uuid={}", self.sr);
        let found = self.host.xe(&["vdi-list", &sr, "managed=false", "name-label=base copy", "--minimal"]);
        found.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
    }

    fn parent(&self, disk: &str) -> String {
        self.field(disk, "sm-config").strip_prefix("vhd-parent: ").unwrap_or_default().to_owned()
    }
}

/// The tables of a VHD of 64 MiB, and of one block with the bitmap of its sectors.
const TABLES: u64 = 4096;
const BLOCK: u64 = 2 * MIB + 4096;

#[test]
fn a_thin_disk_takes_what_is_in_it() {
    let storage = Storage::new("nfs", "1GiB");
    let huge = storage.disk("2000GiB");
    assert!(storage.takes(&huge) < 5 * MIB);
    storage.on("vdi-destroy", &huge);
    let disk = storage.disk_with(&vec![1; 5 << 20]);
    assert_eq!(storage.takes(&disk), TABLES + 3 * BLOCK);
    assert_eq!(storage.sr_figure("physical-utilisation"), TABLES + 3 * BLOCK);
    assert_eq!(storage.sr_figure("virtual-allocation"), 64 * MIB);
}

#[test]
fn what_a_file_system_cannot_hold_fails_while_it_is_written() {
    let storage = Storage::new("ext", "4MiB");
    let disk = storage.disk("64MiB");
    std::fs::write(storage.host.path("data.raw"), vec![1; 5 << 20]).unwrap();
    let file = format!("filename={}", storage.host.path("data.raw").display());
    let said = storage.try_xe(&["vdi-import", &format!("uuid={disk}"), &file]);
    assert!(said.stderr.contains("Device I/O errors"), "{said:#?}");
}

#[test]
fn a_clone_shares_what_both_hold_and_the_last_one_takes_it_over() {
    let storage = Storage::new("nfs", "1GiB");
    let disk = storage.disk_with(&vec![1; 4 << 20]);
    let first = storage.on("vdi-clone", &disk);
    let base = storage.bases().pop().unwrap();
    assert_eq!(storage.field(&base, "read-only"), "true");
    for leaf in [&disk, &first] {
        assert_eq!((storage.parent(leaf), storage.takes(leaf)), (base.clone(), TABLES));
    }
    assert_eq!(storage.takes(&base), TABLES + 2 * BLOCK);
    // Nothing was written since: a second clone stands on the same base.
    let second = storage.on("vdi-clone", &disk);
    assert_eq!((storage.parent(&second), storage.bases().len()), (base.clone(), 1));
    storage.host.write_vdi(&first, 10 * MIB, b"more");
    assert_eq!(storage.takes(&first), TABLES + BLOCK);
    storage.on("vdi-destroy", &disk);
    storage.on("vdi-destroy", &second);
    assert!(storage.bases().is_empty());
    assert_eq!((storage.parent(&first), storage.takes(&first)), (String::new(), TABLES + 3 * BLOCK));
    assert_eq!(storage.host.vdi_bytes(&first)[10 << 20..][..4], *b"more");
    let said = storage.try_xe(&["vdi-destroy", &format!("uuid={base}")]);
    assert!(said.stderr.contains("uuid you supplied was invalid"), "{said:#?}");
}

#[test]
fn a_base_copy_is_not_managed() {
    let storage = Storage::new("ext", "1GiB");
    storage.on("vdi-snapshot", &storage.disk_with(b"data"));
    let base = storage.bases().pop().unwrap();
    for verb in ["vdi-destroy", "vdi-clone", "vdi-snapshot"] {
        let said = storage.try_xe(&[verb, &format!("uuid={base}")]);
        assert!(said.stderr.contains("VDI_NOT_MANAGED"), "{said:#?}");
    }
}

#[test]
fn no_chain_has_more_than_thirty_disks() {
    let storage = Storage::new("nfs", "1GiB");
    let disk = storage.disk_with(b"data");
    for nth in 0..29_u8 {
        storage.on("vdi-snapshot", &disk);
        storage.host.write_vdi(&disk, u64::from(nth), &[nth + 1]);
    }
    for verb in ["vdi-snapshot", "vdi-clone"] {
        let before = storage.host.dump();
        let said = storage.try_xe(&[verb, &format!("uuid={disk}")]);
        assert_eq!(
            (said.code, said.stderr.as_str()),
            (
                Some(1),
                "Error code: SR_BACKEND_FAILURE_109\nError parameters: , The snapshot chain is too long, \n"
            )
        );
        storage.host.is_as(&before);
    }
    // A copy begins a chain of its own.
    let copy = storage.host.xe(&["vdi-copy", &format!("uuid={disk}"), &format!("sr-uuid={}", storage.sr)]);
    storage.on("vdi-snapshot", &copy);
}

#[test]
fn a_thick_disk_has_its_room_from_the_beginning() {
    let storage = Storage::new("lvm", "400MiB");
    let disk = storage.disk_with(&vec![1; 5 << 20]);
    // 64 MiB, the tables of a disk of 2 TiB, 32 bitmaps; in units of 4 MiB.
    assert_eq!(storage.takes(&disk), 72 * MIB);
    let args = [format!("sr-uuid={}", storage.sr), "virtual-size=400MiB".to_owned()];
    let said = storage.try_xe(&["vdi-create", &args[0], "name-label=e", &args[1]]);
    assert!(said.stderr.contains("SR_BACKEND_FAILURE_44"), "{said:#?}");
    // A snapshot: what was written stays once, shrunk; the disk has all its room again, the snapshot none.
    let snapshot = storage.on("vdi-snapshot", &disk);
    let base = storage.bases().pop().unwrap();
    assert_eq!([&base, &disk, &snapshot].map(|one| storage.takes(one)), [12 * MIB, 72 * MIB, 8 * MIB]);
    // A clone can be written to.
    let clone = storage.on("vdi-clone", &disk);
    assert_eq!(storage.takes(&clone), 72 * MIB);
    assert_eq!(storage.sr_figure("physical-utilisation"), (12 + 72 + 8 + 72) * MIB);
    for _ in 0..3 {
        storage.on("vdi-clone", &disk);
    }
    let before = storage.host.dump();
    let said = storage.try_xe(&["vdi-clone", &format!("uuid={disk}")]);
    assert!(said.stderr.contains("There is insufficient space"), "{said:#?}");
    storage.host.is_as(&before);
}

#[test]
fn discs_are_neither_cloned_nor_made_larger() {
    let storage = Storage::new("iso", "1GiB");
    let sr = format!("sr-uuid={}", storage.sr);
    let host = &storage.host;
    let tools = host.xe(&["vdi-list", "name-label=guest-tools.iso", "--minimal"]);
    for (verb, more) in [("vdi-clone", ""), ("vdi-snapshot", ""), ("vdi-resize", "disk-size=1GiB")] {
        let uuid = format!("uuid={tools}");
        let words: Vec<&str> = [verb, &uuid, more].into_iter().filter(|word| !word.is_empty()).collect();
        let said = storage.try_xe(&words);
        assert!(said.stderr.contains("SR_OPERATION_NOT_SUPPORTED"), "{said:#?}");
    }
    assert_eq!(host.xe(&["vdi-list", &sr, "--minimal"]), "");
}
