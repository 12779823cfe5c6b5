//! What becomes of disks: formats and sizes in, out and back, and whose they are.
#![allow(clippy::print_stderr)]

use crate::common::{Host, Recorded, holds, sparse_file};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const TERMINATE: &str = "shutdown.3";
const POWEROFF: &str = "shutdown";
const MIB: u64 = 1 << 20;

const DISK_0_END: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[ssh]]></TM_MAD><TYPE><![CDATA[FILE]]></TYPE>";
const DISK_0_IN_XCP: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[xcp]]></TM_MAD><TYPE><![CDATA[FILE]]></TYPE>";
const DISK_0_AS_CD: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[ssh]]></TM_MAD><TYPE><![CDATA[CDROM]]></TYPE>";

fn disk(host: &Host, disk_id: u32) -> PathBuf {
    host.vm_folder(0, 1).join(format!("disk.{disk_id}"))
}

/// Runs an action of the recorded message, changed, on the VM.
fn run(host: &Host, action: &str, recorded: &Recorded, uuid: &str) -> crate::common::Said {
    host.run(action, &[uuid, "xcp-a", "1", "xcp-a"], &recorded.stdin)
}

fn power_off_by_itself(host: &Host, uuid: &str) {
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
}

fn default_sr(host: &Host) -> String {
    host.xe(&["pool-list", "params=default-SR", "--minimal"])
}

/// A VDI that is there before any VM of ours, with these bytes at its beginning.
fn make_vdi(host: &Host, name: &str, bytes: &[u8]) -> String {
    let args = [format!("sr-uuid={}", default_sr(host)), format!("name-label={name}")];
    let vdi = host.xe(&["vdi-create", &args[0], &args[1], "virtual-size=8MiB"]);
    let file = host.path("bytes");
    sparse_file(&file, 512, &[(0, bytes)]);
    host.xe(&["vdi-import", &format!("uuid={vdi}"), &format!("filename={}", file.display()), "format=raw"]);
    vdi
}

/// `qemu-img`, or None with a word where there is none.
fn qemu_img(args: &[&str]) -> Option<()> {
    match Command::new("qemu-img").args(args).output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(())
        }
        Err(why) => {
            eprintln!("not tried: qemu-img: {why}");
            None
        }
    }
}

/// The first bytes of an image file's content, whatever its format.
fn content(file: &Path, bytes: usize) -> Vec<u8> {
    let raw = file.with_extension("content");
    qemu_img(&["convert", "-O", "raw", file.to_str().unwrap(), raw.to_str().unwrap()]).unwrap();
    let mut content = fs::read(&raw).unwrap();
    fs::remove_file(raw).unwrap();
    content.truncate(bytes);
    content
}

// Formats and sizes.

#[test]
fn qcow2_and_vhd_images_come_back_in_their_format_with_the_guests_writes() {
    for (format, magic) in [("qcow2", &b"QFI\xfb"[..]), ("vpc", b"conectix")] {
        let host = Host::new();
        let before = host.dump();
        let original = host.path("original");
        fs::rename(disk(&host, 0), &original).unwrap();
        let file = disk(&host, 0);
        let paths = [original.to_str().unwrap(), file.to_str().unwrap()];
        if qemu_img(&["convert", "-f", "raw", "-O", format, paths[0], paths[1]]).is_none() {
            return;
        }
        let said = |name: &str| said_of_disk_0(name, format);
        let uuid = host.deploy_document("xcp-a", &said("deploy").stdin).ok();
        let vdi = host.vdi_in(&uuid, "0");
        let mut expected = fs::read(&original).unwrap();
        assert!(host.vdi_bytes(&vdi)[..expected.len()] == expected, "{format}");
        host.write_vdi(&vdi, MIB, b"written by the guest");
        run(&host, "shutdown", &said(POWEROFF), &uuid).ok();
        expected[1 << 20..][..20].copy_from_slice(b"written by the guest");
        let start = fs::read(&file).unwrap();
        assert!(start.starts_with(magic), "{format}: it is of another format now");
        assert!(content(&file, expected.len()) == expected, "{format}");
        host.is_as(&before);
        // And it can be deployed again.
        let uuid = host.deploy_document("xcp-a", &said("deploy.2").stdin).ok();
        assert!(host.vdi_bytes(&host.vdi_in(&uuid, "0"))[..expected.len()] == expected, "{format}");
    }
}

/// A recorded message whose disk 0 has this FORMAT and DRIVER.
fn said_of_disk_0(name: &str, format: &str) -> Recorded {
    let said = |format: &str| {
        format!("<DRIVER><![CDATA[{format}]]></DRIVER><FORMAT><![CDATA[{format}]]></FORMAT><IMAGE>")
    };
    Recorded::load(name).with(&said("raw"), &said(format))
}

#[test]
fn a_raw_disk_stays_raw_whatever_its_guest_writes_into_it() {
    // A fixed VHD of 1 MB at the end of the disk, and the head of a qcow2 of 20 GiB at its start.
    let mut footer = b"conectix\0\0\0\x02\0\x01\0\0".to_vec();
    footer.resize(512, 0);
    let mut header = b"QFI\xfb\0\0\0\x02".to_vec();
    header.resize(72, 0);
    header[20..24].copy_from_slice(&16u32.to_be_bytes());
    header[24..32].copy_from_slice(&(20u64 << 30).to_be_bytes());
    for (place, bytes) in [(0, &header), (5 * MIB - 512, &footer)] {
        let host = Host::new();
        let before = host.dump();
        sparse_file(&disk(&host, 0), 5 * MIB, &[(3 * MIB, b"data"), (place, bytes)]);
        let expected = fs::read(disk(&host, 0)).unwrap();
        let uuid = host.deploy().ok();
        assert!(host.vdi_bytes(&host.vdi_in(&uuid, "0"))[..expected.len()] == expected);
        host.on_vm("shutdown", POWEROFF, &uuid).ok();
        assert!(fs::read(disk(&host, 0)).unwrap() == expected, "it is another file now");
        host.is_as(&before);
    }
}

#[test]
fn formats_that_are_not_ours_and_files_of_another_are_refused_before_the_pool_is_touched() {
    let host = Host::new();
    let before = host.dump();
    for (format, names) in [
        ("vmdk", "FORMAT is \"vmdk\", which is none of raw, qcow2, vhd"),
        ("vhdx", "\"vhdx\""),
        ("qed", "\"qed\""),
        ("vdi", "\"vdi\""),
        ("qcow2", "FORMAT is qcow2, and"),
        ("vpc", "FORMAT is vhd, and"),
    ] {
        let line = host.deploy_document("xcp-a", &said_of_disk_0("deploy", format).stdin).failure();
        assert!(line.contains(names), "{line}");
    }
    host.is_as(&before);
}

/// VM 1's disk 0 as OpenNebula's drivers `shared` and `qcow2` make it: a qcow2 in `disk.0.snap` whose backing file is
/// the image in datastore 1, which has one itself. None without qemu-img.
struct SharedDisk {
    host: Host,
    image: PathBuf,
    bytes: Vec<u8>,
}

impl SharedDisk {
    fn make() -> Option<SharedDisk> {
        let host = Host::new();
        let store = host.vm_folder(1, 0).parent().unwrap().to_owned();
        fs::create_dir_all(&store).unwrap();
        let (raw, image) = (host.path("image.raw"), store.join("0123456789abcdef"));
        sparse_file(&raw, 5 * MIB, &[(0, b"boot of the image"), (4 * MIB, b"later")]);
        let first = store.join("first");
        qemu_img(&["convert", "-f", "raw", "-O", "qcow2", raw.to_str()?, first.to_str()?])?;
        let shared = SharedDisk { bytes: fs::read(raw).unwrap(), host, image };
        overlay(first.to_str()?, &shared.image)?;
        let snapshots = shared.host.vm_folder(0, 1).join("disk.0.snap");
        fs::create_dir(&snapshots).unwrap();
        symlink(".", snapshots.join("disk.0.snap")).unwrap();
        overlay(shared.image.to_str()?, &snapshots.join("0"))?;
        shared.link_to("disk.0.snap/0");
        Some(shared)
    }

    fn link_to(&self, target: &str) {
        fs::remove_file(disk(&self.host, 0)).unwrap();
        symlink(target, disk(&self.host, 0)).unwrap();
    }

    fn message(&self, name: &str) -> Recorded {
        let image = self.image.to_str().unwrap();
        let source =
            "<SOURCE><![CDATA[/var/lib/one//datastores/1/cc46389fb33d6f36eb7d6179f1824f52]]></SOURCE>";
        said_of_disk_0(name, "qcow2").with(source, &format!("<SOURCE><![CDATA[{image}]]></SOURCE>"))
    }

    fn deploy(&self) -> crate::common::Said {
        self.host.deploy_document("xcp-a", &self.message("deploy").stdin)
    }
}

/// A qcow2 without data whose header names this backing file, whatever that is.
fn overlay(backing: &str, file: &Path) -> Option<()> {
    _ = fs::remove_file(file);
    qemu_img(&["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", backing, file.to_str()?, "5M"])
}

#[test]
fn the_image_behind_a_disk_of_a_shared_datastore_is_read_and_the_disk_comes_back_whole() {
    let Some(shared) = SharedDisk::make() else { return };
    let host = &shared.host;
    let image = fs::read(&shared.image).unwrap();
    // With a disk snapshot of OpenNebula's.
    overlay("disk.0.snap/0", &host.vm_folder(0, 1).join("disk.0.snap/1")).unwrap();
    shared.link_to("disk.0.snap/1");
    let before = host.dump();
    let uuid = shared.deploy().ok();
    let vdi = host.vdi_in(&uuid, "0");
    assert!(host.vdi_bytes(&vdi)[..shared.bytes.len()] == shared.bytes);
    host.write_vdi(&vdi, 1024, b"by the guest");
    run(host, "shutdown", &shared.message(POWEROFF), &uuid).ok();
    host.is_as(&before);
    assert!(fs::read(&shared.image).unwrap() == image, "the image of all VMs has changed");
    let back = host.path("back.raw");
    let file = disk(host, 0);
    qemu_img(&["convert", "-f", "qcow2", "-O", "raw", file.to_str().unwrap(), back.to_str().unwrap()])
        .unwrap();
    let mut expected = shared.bytes.clone();
    expected[1024..1036].copy_from_slice(b"by the guest");
    assert!(fs::read(back).unwrap() == expected);
}

#[test]
fn a_backing_file_elsewhere_is_never_read() {
    let Some(shared) = SharedDisk::make() else { return };
    let host = &shared.host;
    let before = host.dump();
    let secret = host.path("secret");
    fs::copy(&shared.image, &secret).unwrap();
    let store = shared.image.parent().unwrap();
    symlink(&secret, store.join("link")).unwrap();
    let other_vm = host.vm_folder(0, 2);
    fs::create_dir_all(&other_vm).unwrap();
    fs::copy(&shared.image, other_vm.join("disk.0")).unwrap();
    // A user chooses what stands in the image that he uploads.
    let names = [
        secret.display().to_string(),
        "../../secret".to_owned(),
        store.join("link").display().to_string(),
        other_vm.join("disk.0").display().to_string(),
        format!("json:{{\"driver\":\"qcow2\",\"file\":{{\"filename\":\"{}\"}}}}", secret.display()),
    ];
    for name in names {
        overlay(&name, &shared.image).unwrap();
        let line = shared.deploy().failure();
        let wanted = if name.starts_with("json:") { "is not a path" } else { "is neither in the datastore" };
        assert!(line.contains("its backing file") && line.contains(wanted), "{name}: {line}");
    }
    // A loop.
    let first = store.join("first");
    overlay(first.to_str().unwrap(), &shared.image).unwrap();
    overlay(shared.image.to_str().unwrap(), &first).unwrap();
    assert!(shared.deploy().failure().contains("more than 32 files in its chain"));
    host.is_as(&before);
}

#[test]
fn an_iso_image_is_a_read_only_cd_and_never_written_back() {
    let host = Host::new();
    let before = host.dump();
    sparse_file(&disk(&host, 0), 2 * MIB, &[(32_769, b"CD001"), (40_960, b"installer")]);
    let stamp = fs::metadata(disk(&host, 0)).unwrap().mtime_nsec();
    let as_cd = |name: &str| Recorded::load(name).with(DISK_0_END, DISK_0_AS_CD);
    let uuid = host.deploy_document("xcp-a", &as_cd("deploy").stdin).ok();
    let filters = [format!("vm-uuid={uuid}"), "vdi-name-label=one-1-disk-0".to_owned()];
    let field = |field: &str| {
        host.xe(&["vbd-list", &filters[0], &filters[1], &format!("params={field}"), "--minimal"])
    };
    assert_eq!([field("type"), field("mode"), field("userdevice")], ["CD", "RO", "3"]);
    let vdi = field("vdi-uuid");
    assert!(host.vdi_holds(&vdi, 40_960, b"installer"));
    host.forget_calls();
    run(&host, "shutdown", &as_cd(POWEROFF), &uuid).ok();
    // The VM is uninstalled without its discs.
    let (destroy, calls) = (format!("vdi-destroy uuid={vdi} --trace"), host.calls());
    assert!(calls.iter().all(|call| call.line == destroy || !call.line.contains(&vdi)), "{calls:#?}");
    assert_eq!(fs::metadata(disk(&host, 0)).unwrap().mtime_nsec(), stamp);
    host.is_as(&before);
}

#[test]
fn a_raw_image_that_ends_within_a_sector_keeps_its_length() {
    for size in [5 * MIB - 1, 5 * MIB + 511, 700, 1] {
        let host = Host::new();
        sparse_file(&disk(&host, 0), size, &[(size - 1, b"z")]);
        let uuid = host.deploy().ok();
        host.write_vdi(&host.vdi_in(&uuid, "0"), size - 1, b"Z");
        host.on_vm("shutdown", POWEROFF, &uuid).ok();
        let file = fs::read(disk(&host, 0)).unwrap();
        assert_eq!(file.len() as u64, size);
        assert_eq!(file.last(), Some(&b'Z'), "{size}");
    }
}

#[test]
fn a_large_sparse_image_stays_sparse_in_the_pool_and_back_in_its_file() {
    let host = Host::new();
    let size = 2 << 30;
    sparse_file(&disk(&host, 0), size, &[(0, b"boot"), (1 << 30, b"middle"), (size - 4, b"last")]);
    let uuid = host.deploy().ok();
    let vdi = host.vdi_in(&uuid, "0");
    let on_disk = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    let in_pool = host.path("pool.vdi").join(&vdi);
    assert!(on_disk(&in_pool) < 16 * MIB, "{} bytes in the pool", on_disk(&in_pool));
    host.write_vdi(&vdi, 3 << 29, b"written by the guest");
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    let file = disk(&host, 0);
    assert_eq!(fs::metadata(&file).unwrap().len(), size);
    assert!(on_disk(&file) < 16 * MIB, "{} bytes in the file", on_disk(&file));
    let mut bytes = [0; 20];
    std::os::unix::fs::FileExt::read_exact_at(&fs::File::open(&file).unwrap(), &mut bytes, 3 << 29).unwrap();
    assert_eq!(&bytes, b"written by the guest");
}

// Which disks are written back, and when.

#[test]
fn the_state_tells_which_disks_are_written_back() {
    // LCM_STATE, and whether a disk that is not persistent is still wanted.
    let states = [(12, false), (15, false), (18, true), (23, false), (29, true), (2, true), (99, true)];
    let no = "<SAVE><![CDATA[NO]]></SAVE>";
    let yes = "<SAVE><![CDATA[YES]]></SAVE>";
    let read_only = "<READONLY><![CDATA[NO]]></READONLY>";
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), MIB, b"written by the guest");
    host.write_vdi(&host.vdi_in(&uuid, "1"), MIB, b"swapped out");
    let written = host.keep();
    for (state, is_wanted) in states {
        for (old, new, is_written) in [
            (no, no, is_wanted),
            (no, yes, true),
            (no, "", is_wanted),
            (read_only, "<READONLY><![CDATA[YES]]></READONLY>", false),
        ] {
            host.put_back(&written);
            let message = Recorded::load(POWEROFF)
                .with("<LCM_STATE>18<", &format!("<LCM_STATE>{state}<"))
                .with(old, new);
            run(&host, "cancel", &message, &uuid).ok();
            let shown = format!("state {state}, {new}");
            assert_eq!(holds(&disk(&host, 0), MIB, b"written by the guest"), is_written, "{shown}");
            assert!(!holds(&disk(&host, 1), MIB, b"swapped out"), "{shown}");
            host.is_as(&before);
        }
    }
}

// Disks of an xcp datastore: VDIs that are there before the VM and after it.

#[test]
fn a_vdi_of_an_xcp_datastore_is_attached_and_stays_when_the_vm_goes() {
    let in_xcp = |name: &str| Recorded::load(name).with(DISK_0_END, DISK_0_IN_XCP);
    for (action, message) in [("shutdown", TERMINATE), ("shutdown", POWEROFF), ("cancel", "cancel")] {
        let host = Host::new();
        let vdi = make_vdi(&host, "image 4", b"in the SR");
        let before = host.dump();
        let marker = format!("{vdi}\n");
        fs::write(disk(&host, 0), &marker).unwrap();
        let uuid = host.deploy_document("xcp-a", &in_xcp("deploy").stdin).ok();
        assert_eq!(host.vdi_in(&uuid, "0"), vdi);
        run(&host, action, &in_xcp(message), &uuid).ok();
        host.is_as(&before);
        assert_eq!(fs::read_to_string(disk(&host, 0)).unwrap(), marker, "{message}");
    }
}

#[test]
fn a_vdi_of_an_xcp_datastore_survives_a_guest_that_powered_itself_off_and_a_failed_deployment() {
    let in_xcp = |name: &str| Recorded::load(name).with(DISK_0_END, DISK_0_IN_XCP);
    let host = Host::new();
    let vdi = make_vdi(&host, "image 4", b"in the SR");
    let before = host.dump();
    fs::write(disk(&host, 0), &vdi).unwrap();
    host.sim(&["fail", "vm-start", "--code", "INTERNAL_ERROR"]);
    host.deploy_document("xcp-a", &in_xcp("deploy").stdin).failure();
    host.is_as(&before);
    let uuid = host.deploy_document("xcp-a", &in_xcp("deploy").stdin).ok();
    power_off_by_itself(&host, &uuid);
    let again = host.deploy_document("xcp-a", &in_xcp("deploy.2").stdin).ok();
    assert_eq!(host.vdi_in(&again, "0"), vdi);
    run(&host, "shutdown", &in_xcp(TERMINATE), &again).ok();
    host.is_as(&before);
}

#[test]
fn a_raw_image_that_holds_a_uuid_is_an_image_and_not_somebodys_vdi() {
    let host = Host::new();
    let secret = make_vdi(&host, "another tenant's", b"secret");
    let before = host.dump();
    fs::write(disk(&host, 0), format!("{secret}\n")).unwrap();
    let uuid = host.deploy().ok();
    let vdi = host.vdi_in(&uuid, "0");
    assert_ne!(vdi, secret);
    assert!(host.vdi_holds(&vdi, 0, secret.as_bytes()));
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_marker_that_names_no_vdi_is_told_of_and_the_pool_is_left_as_it_was() {
    let in_xcp = Recorded::load("deploy").with(DISK_0_END, DISK_0_IN_XCP);
    let absent = "11111111-2222-3333-4444-555555555555";
    for (marker, words) in [
        (&b"garbage"[..], "should name a VDI"),
        (b"", "should name a VDI"),
        (b"\xff\xfe\0", "disk.0"),
        (absent.as_bytes(), absent),
        (b"../../../etc/passwd", "should name a VDI"),
        (b"11111111-2222-3333-4444-555555555555\nsr-uuid=x", "should name a VDI"),
    ] {
        let host = Host::new();
        let before = host.dump();
        fs::write(disk(&host, 0), marker).unwrap();
        let line = host.deploy_document("xcp-a", &in_xcp.stdin).failure();
        assert!(line.contains(words) && line.contains("disk 0"), "{line}");
        host.is_as(&before);
    }
    let host = Host::new();
    fs::remove_file(disk(&host, 0)).unwrap();
    let line = host.deploy_document("xcp-a", &in_xcp.stdin).failure();
    assert!(line.contains("disk.0"), "{line}");
}

// Changes that OpenNebula made while the VM was powered off, after its guest had powered itself off.

#[test]
fn a_disk_that_was_grown_while_powered_off_is_as_large_and_holds_the_guests_writes() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), MIB, b"written by the guest");
    power_off_by_itself(&host, &uuid);
    fs::File::options().write(true).open(disk(&host, 0)).unwrap().set_len(64 * MIB).unwrap();
    let again = host.deploy_recorded("deploy.2").ok();
    let vdi = host.vdi_in(&again, "0");
    let size: u64 =
        host.xe(&["vdi-list", &format!("uuid={vdi}"), "params=virtual-size", "--minimal"]).parse().unwrap();
    assert!(size >= 64 * MIB, "{size}");
    assert!(host.vdi_holds(&vdi, 1 << 20, b"written by the guest"));
    host.write_vdi(&vdi, 60 * MIB, b"in the new room");
    host.on_vm("shutdown", POWEROFF, &again).ok();
    let file = fs::read(disk(&host, 0)).unwrap();
    assert_eq!(file.len() as u64, 64 * MIB);
    assert!(file[1 << 20..].starts_with(b"written by the guest"));
    assert!(file[60 << 20..].starts_with(b"in the new room"));
    host.is_as(&before);
}

#[test]
fn a_disk_that_cannot_grow_fails_the_deployment_and_the_halted_vm_stays() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    power_off_by_itself(&host, &uuid);
    fs::File::options().write(true).open(disk(&host, 0)).unwrap().set_len(64 * MIB).unwrap();
    let before = host.dump();
    host.sim(&["fail", "vdi-resize", "--code", "SR_BACKEND_FAILURE_44", "--params", ",no room,"]);
    let line = host.deploy_recorded("deploy.2").failure();
    assert!(line.contains("disk 0") && line.contains("SR_BACKEND_FAILURE_44"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_disk_that_was_detached_while_powered_off_stays_out_of_the_vm_and_in_the_pool() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let swap = host.vdi_in(&uuid, "1");
    power_off_by_itself(&host, &uuid);
    let document = String::from_utf8(Recorded::load("deploy.2").stdin).unwrap();
    let start = document.match_indices("<DISK>").nth(1).unwrap().0;
    let end = document.match_indices("</DISK>").nth(1).unwrap().0 + "</DISK>".len();
    let without = format!("{}{}", &document[..start], &document[end..]);
    let said = host.deploy_document("xcp-a", without.as_bytes());
    assert!(
        said.log()
            .iter()
            .any(|line| line.starts_with("WARN: ") && line.contains(&swap) && line.contains("is kept")),
        "{said:?}"
    );
    let again = said.ok();
    assert_eq!(host.vdi_in(&again, "1"), "");
    assert_eq!(host.xe(&["vdi-list", &format!("uuid={swap}"), "--minimal"]), swap);
    host.on_vm("shutdown", TERMINATE, &again).ok();
    assert_eq!(host.xe(&["vdi-list", &format!("uuid={swap}"), "--minimal"]), swap);
}

#[test]
fn another_image_under_the_same_disk_id_is_not_taken_for_the_old_one() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let old = host.vdi_in(&uuid, "0");
    host.write_vdi(&old, MIB, b"of the old image");
    power_off_by_itself(&host, &uuid);
    sparse_file(&disk(&host, 0), 5 * MIB, &[(MIB, b"of the new image")]);
    let other = Recorded::load("deploy.2")
        .with("<IMAGE_ID><![CDATA[0]]></IMAGE_ID>", "<IMAGE_ID><![CDATA[7]]></IMAGE_ID>");
    let said = host.deploy_document("xcp-a", &other.stdin);
    assert!(said.stderr.contains(&old) && said.stderr.contains("is kept"), "{said:?}");
    let again = said.ok();
    let vdi = host.vdi_in(&again, "0");
    assert!(host.vdi_holds(&vdi, 1 << 20, b"of the new image"));
    assert!(host.vdi_holds(&old, 1 << 20, b"of the old image"));
}

#[test]
fn copies_that_somebody_made_of_a_disk_are_no_remains_of_ours() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), MIB, b"written by the guest");
    power_off_by_itself(&host, &uuid);
    let vdi = host.vdi_in(&uuid, "0");
    let backup = host.xe(&["vdi-copy", &format!("uuid={vdi}"), &format!("sr-uuid={}", default_sr(&host))]);
    let copy = host.xe(&["vm-copy", &format!("uuid={uuid}"), "new-name-label=backup of one-1"]);
    let again = host.deploy_recorded("deploy.2").ok();
    for vdi in [&host.vdi_in(&again, "0"), &host.vdi_in(&copy, "0"), &backup] {
        assert!(host.vdi_holds(vdi, 1 << 20, b"written by the guest"), "{vdi}");
    }
    host.on_vm("shutdown", TERMINATE, &again).ok();
    for vdi in [&host.vdi_in(&copy, "0"), &backup] {
        assert!(host.vdi_holds(vdi, 1 << 20, b"written by the guest"), "{vdi}");
    }
}
