//! Images: made, copied, measured, removed.

use crate::common::{Said, said, sparse_file};
use crate::site::Site;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

const MB: u64 = 1 << 20;

#[test]
fn an_image_has_its_files_bytes_and_its_mark() {
    let site = Site::new();
    let source = site.image();
    assert_eq!(site.host.calls().len(), 6, "{:#?}", site.host.calls());
    let file = fs::read(site.host.path("disk.raw")).unwrap();
    assert!(site.host.vdi_bytes(&source) == file);
    assert_eq!(site.tagged("one-image-2"), [source.as_str()]);
    assert_eq!(site.vdi_param(&source, "tags"), "one-image-2");
    assert_eq!(site.vdi_param(&source, "name-label"), "one-image-2");
    assert_eq!(site.cp("disk.raw", 10).ok().split(' ').nth(1), Some("raw"));
}

#[test]
fn a_person_at_a_terminal_sees_how_far_it_is_and_the_log_does_not() {
    let site = Site::new();
    site.image();
    let message = site.cp_message("disk.raw", 10);
    let command = site.ds_command("cp", "2");
    let logged = site.ds("cp", "2", &message);
    assert!(!logged.stderr.contains("sent") && !logged.stderr.contains('\r'), "{logged:?}");
    fs::write(site.host.path("message"), message).unwrap();
    let line = format!("{} 2 <message", command.get_program().display());
    let mut at_terminal = Command::new("script");
    at_terminal.args(["-qec", &line, "typescript"]).env_clear().current_dir(site.host.path(""));
    at_terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if at_terminal.output().is_ok_and(|said| said.status.success()) {
        let seen = fs::read_to_string(site.host.path("typescript")).unwrap();
        assert!(seen.contains("MB sent"), "{seen}");
    }
}

#[test]
fn qcow2_vhd_and_vmdk_become_what_they_hold() {
    let site = Site::new();
    site.image();
    let content = fs::read(site.host.path("disk.raw")).unwrap();
    for (format, name) in [("qcow2", "disk.qcow2"), ("vpc", "disk.vhd"), ("vmdk", "disk.vmdk")] {
        let target = site.host.path(name);
        let made = Command::new("qemu-img")
            .args(["convert", "-f", "raw", "-O", format])
            .args([&site.host.path("disk.raw"), &target])
            .status();
        let Ok(true) = made.map(|status| status.success()) else { continue };
        // qemu-img rounds a VHD up to whole cylinders.
        let size_mb = if format == "vpc" { "11" } else { "10" };
        assert_eq!(site.ds("stat", "2", &site.cp_message(name, 10)).ok(), size_mb, "{format}");
        let answer = site.cp(name, 10).ok();
        let uuid = answer.split(' ').next().unwrap();
        let bytes = site.host.vdi_bytes(uuid);
        assert!(bytes[..content.len()] == content[..], "{format}");
        assert!(bytes[content.len()..].iter().all(|byte| *byte == 0), "{format}");
        assert!(fs::read_dir(site.host.path("staging")).unwrap().next().is_none(), "{format}");
    }
}

#[test]
fn compressed_files_are_told_by_their_content() {
    let site = Site::new();
    site.image();
    let content = fs::read(site.host.path("disk.raw")).unwrap();
    for program in ["gzip", "bzip2", "xz"] {
        let packed =
            Command::new(program).arg("-kc").arg(site.host.path("disk.raw")).output().unwrap().stdout;
        fs::write(site.host.path("packed.img"), packed).unwrap();
        let message = site.cp_message("packed.img", 10);
        assert_eq!(site.ds("stat", "0", &message).ok(), "10", "{program}");
        let answer = site.ds("cp", "2", &message).ok();
        assert!(site.host.vdi_bytes(answer.split(' ').next().unwrap()) == content, "{program}");
    }
}

#[test]
fn a_program_that_has_given_everything_may_take_its_time_to_end() {
    let site = Site::new();
    site.image();
    let packed = Command::new("gzip").arg("-kc").arg(site.host.path("disk.raw")).output().unwrap().stdout;
    fs::write(site.host.path("packed.img"), packed).unwrap();
    site.program("bin/gzip", "#!/bin/sh\n/usr/bin/gzip \"$@\" || exit 1\nexec >&-\nsleep 1\n");
    site.ds("cp", "2", &site.cp_message("packed.img", 10)).ok();
}

#[test]
fn a_truncated_or_longer_source_changes_nothing() {
    let site = Site::new();
    site.image();
    let before = site.host.dump();
    let packed = Command::new("gzip").arg("-kc").arg(site.host.path("disk.raw")).output().unwrap().stdout;
    fs::write(site.host.path("short.gz"), &packed[..packed.len() - 20]).unwrap();
    let line = site.cp("short.gz", 10).failure();
    assert!(line.starts_with("datastore cp: the source ended early: gzip failed"), "{line}");
    fs::write(site.host.path("whole.gz"), &packed).unwrap();
    let line = site.cp("whole.gz", 8).failure();
    assert!(line.contains("longer than the 8388608 bytes"), "{line}");
    let line = site.cp("whole.gz", 12).failure();
    assert!(line.contains("has 10485760 bytes, and was announced with 12582912"), "{line}");
    fs::write(site.host.path("broken.qcow2"), b"QFI\xfb\0\0\0\x03short").unwrap();
    site.cp("broken.qcow2", 10).failure();
    site.host.is_as(&before);
}

#[test]
fn a_url_goes_through_opennebulas_downloader() {
    let site = Site::new();
    site.image();
    let content = fs::read(site.host.path("disk.raw")).unwrap();
    let from = site.host.path("disk.raw").display().to_string();
    site.program(
        "remotes/datastore/downloader.sh",
        &format!("#!/bin/sh\necho \"$*\" >\"$TMPDIR/asked\"\n[ \"$DRV_ACTION\" ] && exec cat '{from}'\n"),
    );
    let answer = site.cp("http://example.org/disk.raw", 10).ok();
    assert!(site.host.vdi_bytes(answer.split(' ').next().unwrap()) == content);
    assert_eq!(fs::read_to_string(site.host.path("asked")).unwrap(), "http://example.org/disk.raw -\n");

    let before = site.host.dump();
    site.program(
        "remotes/datastore/downloader.sh",
        "#!/bin/sh\nhead -c 3000000 /dev/zero; echo 404 >&2; exit 1\n",
    );
    let line = site.cp("http://example.org/disk.raw", 10).failure();
    assert!(line.contains("the source ended early") && line.contains("404"), "{line}");
    site.host.is_as(&before);
}

#[test]
fn a_wrong_checksum_is_refused_before_anything_is_made() {
    let site = Site::new();
    site.image();
    let before = site.host.dump();
    let path = site.host.path("disk.raw").display().to_string();
    let with_md5 = |md5: &str| {
        let attribute = format!("<TEMPLATE><MD5>{md5}</MD5><DEV_PREFIX>");
        site.message("cp", &[("/var/tmp/disk.raw", &path), ("<TEMPLATE><DEV_PREFIX>", &attribute)])
    };
    let line = site.ds("cp", "2", &with_md5("00000000000000000000000000000000")).failure();
    assert!(line.contains("and should have 0000"), "{line}");
    site.host.is_as(&before);
    let sum = Command::new("md5sum").arg(&path).output().unwrap().stdout;
    site.ds("cp", "2", &with_md5(&String::from_utf8(sum).unwrap()[..32])).ok();
}

#[test]
fn files_of_restricted_folders_are_refused() {
    let site = Site::new();
    site.image();
    let path = site.host.path("disk.raw").display().to_string();
    let safe = format!("<SAFE_DIRS><![CDATA[{}]]></SAFE_DIRS>", site.host.path("").display());
    let message = site.message("cp", &[("/var/tmp/disk.raw", &path), (&safe, "")]);
    let line = site.ds("cp", "2", &message).failure();
    assert!(line.contains("not allowed to copy"), "{line}");
}

/// An image of 10 MB with this in it does not go into an SR of 8 MB; gives back what is said.
fn into_a_full_sr(kind: &str, data: &[u8]) -> String {
    let site = Site::new();
    let kind = format!("type={kind}");
    site.host.xe(&["sr-create", "name-label=Small", &kind, "shared=true", "physical-size=8MiB"]);
    sparse_file(&site.host.path("disk.raw"), 10 * MB, &[(0, data)]);
    let path = site.host.path("disk.raw").display().to_string();
    let before = site.host.dump();
    let message = site.message("cp", &[("/var/tmp/disk.raw", &path), ("Shared NFS", "Small")]);
    let line = site.ds("cp", "2", &message).failure();
    site.host.is_as(&before);
    line
}

#[test]
fn a_full_sr_says_so_and_keeps_nothing() {
    let line = into_a_full_sr("lvm", b"boot");
    assert!(line.contains("There is insufficient space") && line.contains("SR_BACKEND_FAILURE_44"), "{line}");
}

#[test]
fn an_sr_that_becomes_full_with_the_data_keeps_nothing_either() {
    let line = into_a_full_sr("nfs", &vec![7; 9 << 20]);
    assert!(line.contains("VDI_IO_ERROR"), "{line}");
}

#[test]
fn empty_images_swap_and_file_systems_are_made() {
    let site = Site::new();
    let uuid = site.ds("mkfs", "3", &site.message("mkfs", &[])).ok();
    assert_eq!(uuid.len(), 36, "the whole answer becomes the source");
    assert_eq!(site.vdi_param(&uuid, "tags"), "one-image-3");
    let swap = site.message("mkfs", &[("<FS><![CDATA[]]></FS>", "<FS>swap</FS>")]);
    let swap = site.ds("mkfs", "3", &swap).ok();
    let swap = site.host.vdi_bytes(&swap);
    assert_eq!((&swap[4086..4096], &swap[1052..1057]), (b"SWAPSPACE2".as_slice(), b"swap\0".as_slice()));
    assert_ne!(swap[1036..1052], [0; 16], "it has a uuid");
    if std::path::Path::new("/sbin/mkfs.ext4").exists() {
        let ext4 = site.message("mkfs", &[("<FS><![CDATA[]]></FS>", "<FS>ext4</FS>")]);
        let ext4 = site.ds("mkfs", "3", &ext4).ok();
        assert_eq!(site.host.vdi_bytes(&ext4)[1024 + 56..1024 + 58], [0x53, 0xef]);
    }
}

#[test]
fn file_systems_are_made_as_datastore_conf_says() {
    let site = Site::new();
    let before = site.host.dump();
    let set = |text: &str| site.program("remotes/etc/datastore/datastore.conf", text);
    set("SUPPORTED_FS=\"ext3, ext4\"\nFS_OPTS_ext4=\"-L named -m 0\"\n");
    let image = |fs: &str| site.message("mkfs", &[("<FS><![CDATA[]]></FS>", &format!("<FS>{fs}</FS>"))]);
    let line = site.ds("mkfs", "3", &image("ext2")).failure();
    assert!(
        line.contains("SUPPORTED_FS in datastore.conf is ext3, ext4: there is no ext2 among them"),
        "{line}"
    );
    site.host.is_as(&before);
    if std::path::Path::new("/sbin/mkfs.ext4").exists() {
        let ext4 = site.ds("mkfs", "3", &image("ext4")).ok();
        assert_eq!(&site.host.vdi_bytes(&ext4)[1024 + 120..1024 + 126], b"named\0");
        set("FS_OPTS_ext4=\"--nonsense\"\n");
        let line = site.ds("mkfs", "4", &image("ext4")).failure();
        assert!(line.contains("mkfs.ext4"), "{line}");
        assert!(site.tagged("one-image-4").is_empty());
    }
}

#[test]
fn a_clone_is_an_image_of_its_own_also_on_another_sr() {
    let site = Site::new();
    let source = site.image();
    let clone = site.ds("clone", "5", &site.message("clone", &[("vdi-uuid-17434", &source)])).ok();
    let (uuid, format) = clone.split_once(' ').unwrap();
    assert_eq!(format, "raw");
    assert!(site.host.vdi_bytes(uuid) == site.host.vdi_bytes(&source));
    site.host.write_vdi(uuid, 0, b"new");
    assert_eq!(&site.host.vdi_bytes(&source)[..4], b"boot");

    let local = site.host.xe(&["sr-list", "name-label=Local storage", "params=uuid", "--minimal"]);
    let local = local.split(',').next().unwrap();
    let elsewhere = site.message("clone", &[("vdi-uuid-17434", &source), ("Shared NFS", local)]);
    let copy = site.ds("clone", "6", &elsewhere).ok();
    let copy = copy.split(' ').next().unwrap();
    assert_eq!(site.vdi_param(copy, "sr-uuid"), local);
    assert_eq!(site.vdi_param(copy, "tags"), "one-image-6");
    assert!(site.host.vdi_bytes(copy) == site.host.vdi_bytes(&source));
}

#[test]
fn an_image_is_removed_with_its_snapshots_and_twice_is_no_error() {
    let site = Site::new();
    let before = site.host.dump();
    let source = site.image();
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    for id in ["0", "1"] {
        site.tm("snap_create", &[&disk, id, "2", "101"]).ok();
    }
    let rm = site.message("rm", &[("vdi-uuid-11316", &source)]);
    site.ds("rm", "5", &rm).ok();
    site.host.is_as(&before);
    site.ds("rm", "5", &rm).ok();
}

#[test]
fn an_image_in_a_vm_is_not_removed() {
    let site = Site::new();
    let source = site.image();
    let vm = site.host.deploy().ok();
    let vm = format!("vm-uuid={vm}");
    site.host.xe(&["vbd-create", &vm, &format!("vdi-uuid={source}"), "device=7"]);
    let line = site.ds("rm", "5", &site.message("rm", &[("vdi-uuid-11316", &source)])).failure();
    assert!(line.contains("is in 1 VM(s)"), "{line}");
}

#[test]
fn the_room_is_that_of_the_sr() {
    let site = Site::new();
    let said = site.ds("monitor", "101", &site.message("monitor", &[])).ok();
    let names: Vec<&str> = said.lines().map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!(names, ["USED_MB", "TOTAL_MB", "FREE_MB"]);
    let number =
        |index: usize| said.lines().nth(index).unwrap().split('=').nth(1).unwrap().parse::<u64>().unwrap();
    assert_eq!(number(0) + number(2), number(1));
    let line = site.ds("monitor", "101", &site.message("monitor", &[("Shared NFS", "none")])).failure();
    assert!(line.contains("no SR with the name-label \"none\""), "{line}");
}

#[test]
fn sizes_are_told_in_mb_rounded_up() {
    let site = Site::new();
    sparse_file(&site.host.path("odd.raw"), 3 * MB + 1, &[]);
    assert_eq!(site.ds("stat", "0", &site.cp_message_of("stat", "odd.raw")).ok(), "4");
    site.program("remotes/datastore/fs/stat", "#!/bin/sh\nread -r line; [ \"$line\" ] && echo 77\n");
    assert_eq!(site.ds("stat", "0", &site.cp_message_of("stat", "http://example.org/x")).ok(), "77");
    site.program("remotes/datastore/fs/stat", "#!/bin/sh\necho 'no such host' >&2\nexit 1\n");
    let message = site.cp_message_of("stat", "http://example.org/x");
    assert!(site.ds("stat", "0", &message).failure().contains("no such host"));
    site.program("remotes/datastore/fs/stat", "#!/bin/sh\nsleep 100\n");
    let line = said(site.ds_command("stat", "0").env("XE_TRANSFER_TIMEOUT", "1"), &message).failure();
    assert!(line.contains("fs/stat did not end within 1 s"), "{line}");
}

#[test]
fn snapshots_of_an_image_are_reverted_flattened_and_deleted() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    site.tm("snap_create", &[&disk, "0", "2", "101"]).ok();
    site.host.write_vdi(&source, 0, b"later");
    let on = |script: &str, id: &str| {
        let target = format!("<TARGET_SNAPSHOT>{id}<");
        let source = format!("<SOURCE><![CDATA[{source}]]></SOURCE>");
        let changes =
            [("<TARGET_SNAPSHOT>-1<", target.as_str()), ("<SOURCE><![CDATA[]]></SOURCE>", source.as_str())];
        site.ds(script, "2", &site.message("clone", &changes))
    };
    on("snap_revert", "0").ok();
    assert!(!site.is_there(&source), "the VDI of before is gone");
    let now = site.tagged(&format!("one-source-{source}"));
    assert_eq!(&site.host.vdi_bytes(&now[0])[..5], b"boot\0");
    assert_eq!(site.vdi_param(&now[0], "name-label"), "one-image-2");

    // OpenNebula goes on calling it by the first uuid.
    site.tm_recorded("clone", &source).ok();
    site.host.write_vdi(&now[0], 0, b"third");
    on("snap_flatten", "0").ok();
    let flat = site.tagged(&format!("one-source-{source}"));
    assert_eq!((flat.len(), &site.host.vdi_bytes(&flat[0])[..5]), (1, &b"boot\0"[..]));
    assert!(site.tagged(&format!("one-snapshots-of-{source}")).is_empty());
    on("snap_flatten", "0").ok();
    on("snap_delete", "0").ok();
}

#[test]
fn an_image_for_a_marketplace_is_put_into_a_file() {
    let site = Site::new();
    let source = site.image();
    let message = site.message("rm", &[("vdi-uuid-11316", &source)]);
    let said = site.ds("export", "5", &message).ok();
    assert!(said.starts_with("<IMPORT_INFO><IMPORT_SOURCE><![CDATA["), "{said}");
    let folders: Vec<_> =
        fs::read_dir(site.host.path("staging")).unwrap().map(|one| one.unwrap().path()).collect();
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    let file = folder.join("image.qcow2");
    assert!(said.contains(&format!("<IMPORT_SOURCE><![CDATA[{}]]>", file.display())), "{said}");
    assert!(fs::read(file).unwrap().starts_with(b"QFI"));
    assert!(said.contains(&format!("<DISPOSE_CMD><![CDATA[rm -rf {}]]>", folder.display())), "{said}");
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn an_image_for_a_marketplace_goes_through_no_link_that_others_made() {
    let site = Site::new();
    let source = site.image();
    let message = site.message("rm", &[("vdi-uuid-11316", &source)]);
    let keys = site.host.path("authorized_keys");
    fs::write(&keys, "the administrator's").unwrap();
    let mut export = site.ds_command("export", "5");
    // The name that earlier versions wrote to.
    symlink(&keys, site.host.path("staging/one-image-5-export.qcow2")).unwrap();
    said(&mut export, &message).ok();
    // Where this one makes its directory there is somebody else's already: a link, one that all may write to.
    let folder = site.host.path("staging/one-xcp-image-5-export");
    fs::remove_dir_all(&folder).unwrap();
    let home = site.host.path("home-of-another");
    fs::create_dir(&home).unwrap();
    symlink(&home, &folder).unwrap();
    let line = said(&mut export, &message).failure();
    assert!(line.contains("one-xcp-image-5-export is not a directory of this user alone"), "{line}");
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    symlink(&keys, folder.join("image.qcow2")).unwrap();
    said(&mut export, &message).failure();
    assert_eq!(fs::read_dir(home).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(&keys).unwrap(), "the administrator's");
    let line = said(export.env("STAGING_DIR", "staging"), &message).failure();
    assert!(line.contains("must be an absolute path"), "{line}");
}

#[test]
fn a_small_compressed_file_fills_no_disk() {
    let site = Site::new();
    // The head of a qcow2 of 10 MB, and zeros behind it.
    let mut bomb = b"QFI\xfb\0\0\0\x02".to_vec();
    bomb.resize(200 << 20, 0);
    bomb[24..32].copy_from_slice(&(10 * MB).to_be_bytes());
    fs::write(site.host.path("bomb"), bomb).unwrap();
    Command::new("gzip").arg("-1").arg(site.host.path("bomb")).status().unwrap();
    let before = site.host.dump();
    let said = site.ds("stat", "2", &site.cp_message("bomb.gz", 10)).ok();
    assert_eq!(said.trim(), "10");
    let line = site.cp("bomb.gz", 10).failure();
    assert!(line.contains("larger than 84 MB, which is what IMAGE/SIZE allows for"), "{line}");
    site.host.is_as(&before);
}

#[test]
fn a_vmdk_that_names_another_file_is_refused() {
    let site = Site::new();
    let mut vmdk = vec![0; 64 << 10];
    vmdk[..4].copy_from_slice(b"KDMV");
    let secret = site.host.path("secret");
    fs::write(&secret, vec![b'x'; 1 << 20]).unwrap();
    let descriptor = format!(
        "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\
         RW 2048 FLAT \"{}\" 0\n",
        secret.display()
    );
    // No capacity, and where the descriptor is: qemu-img takes the extents that it names.
    vmdk[4] = 1;
    vmdk[28] = 1;
    vmdk[36] = 20;
    vmdk[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    fs::write(site.host.path("disk.vmdk"), &vmdk).unwrap();
    let packed = Command::new("gzip").arg("-kc").arg(site.host.path("disk.vmdk")).output().unwrap().stdout;
    fs::write(site.host.path("packed.vmdk"), packed).unwrap();
    let before = site.host.dump();
    site.program("remotes/datastore/downloader.sh", "#!/bin/sh\ncat \"$TMPDIR/disk.vmdk\"\n");
    for name in ["disk.vmdk", "packed.vmdk", "https://example.org/disk"] {
        let line = site.cp(name, 1).failure();
        assert!(line.contains("only a VMDK that holds all of its data"), "{line}");
    }
    let line = site.ds("stat", "2", &site.cp_message("disk.vmdk", 1)).failure();
    assert!(line.contains("only a VMDK that holds all of its data"), "{line}");
    site.host.is_as(&before);
}

#[test]
fn formats_that_are_not_ours_are_refused_by_name() {
    let site = Site::new();
    let before = site.host.dump();
    let mut vdi = vec![0; 1 << 20];
    vdi[64..68].copy_from_slice(b"\x7f\x10\xda\xbe");
    fs::write(site.host.path("disk"), &vdi).unwrap();
    let packed = Command::new("gzip").arg("-kc").arg(site.host.path("disk")).output().unwrap().stdout;
    fs::write(site.host.path("disk.gz"), packed).unwrap();
    for name in ["disk", "disk.gz"] {
        for script in ["stat", "cp"] {
            let line = site.ds(script, "2", &site.cp_message(name, 1)).failure();
            assert!(line.contains("is vdi, which is none of raw, qcow2, vhd"), "{script} {name}: {line}");
        }
    }
    site.host.is_as(&before);
}

#[test]
fn over_a_bridge_the_bytes_go_through_ssh() {
    let site = Site::new();
    let bridge = "<TEMPLATE><BRIDGE_LIST>xcp-a xcp-b</BRIDGE_LIST><ALLOW_ORPHANS>";
    sparse_file(&site.host.path("disk.raw"), 10 * MB, &[(0, b"boot")]);
    let path = site.host.path("disk.raw").display().to_string();
    let message = site.message("cp", &[("/var/tmp/disk.raw", &path), ("<TEMPLATE><ALLOW_ORPHANS>", bridge)]);
    let answer = site.ds("cp", "2", &message).ok();
    assert_eq!(&site.host.vdi_bytes(answer.split(' ').next().unwrap())[..4], b"boot");
    let log = fs::read_to_string(site.host.path("ssh.log")).unwrap();
    assert!(log.lines().all(|line| line.starts_with("xcp-a ")), "{log}");
    assert!(log.contains("cat | LC_ALL=C 'xe' 'vdi-import'"), "{log}");
}

/// The image's message, with these hosts in BRIDGE_LIST.
fn with_bridges(site: &Site, recorded: &str, hosts: &str) -> Vec<u8> {
    let bridges = format!("<TEMPLATE><BRIDGE_LIST>{hosts}</BRIDGE_LIST><ALLOW_ORPHANS>");
    site.message(recorded, &[("<TEMPLATE><ALLOW_ORPHANS>", &bridges)])
}

/// Logins so far, a host each.
fn logins(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.host.path("ssh.logins")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn where_a_host_of_bridge_list_is_down_the_next_is_asked() {
    let site = Site::new();
    fs::write(site.host.path("ssh.down"), "xcp-a\n").unwrap();
    for (script, id, hosts) in [
        ("mkfs", "2", "xcp-a xcp-b"),
        ("mkfs", "3", "xcp-b xcp-a"),
        ("monitor", "100", "xcp-a xcp-b"),
        ("monitor", "101", "xcp-b xcp-a"),
    ] {
        _ = fs::remove_file(site.host.path("ssh.logins"));
        let said = site.ds(script, id, &with_bridges(&site, script, hosts));
        let warned = said.log().join("\n");
        assert!(
            warned.contains(
                "WARN: BRIDGE_LIST: xcp-a does not answer (ssh: connect to host xcp-a port 22: No route"
            ),
            "{said:#?}"
        );
        assert!(warned.contains("xcp-b is asked"), "{warned}");
        said.ok();
        assert_eq!(logins(&site), ["xcp-a", "xcp-b"], "{script}: one login each");
    }
}

#[test]
fn where_no_host_of_bridge_list_answers_the_first_ones_failure_is_said() {
    let site = Site::new();
    fs::write(site.host.path("ssh.down"), "xcp-a\nxcp-b\n").unwrap();
    let why = site.ds("monitor", "100", &with_bridges(&site, "monitor", "xcp-a xcp-b")).failure();
    assert!(why.contains("connect to host xcp-a port 22: No route to host"), "{why}");
}

#[test]
fn a_script_logs_in_once_whatever_it_asks() {
    let site = Site::new();
    let source = site.image();
    let once = |what: &str, script: &dyn Fn() -> Said| {
        _ = fs::remove_file(site.host.path("ssh.logins"));
        _ = fs::remove_file(site.host.path("ssh.log"));
        script().ok();
        assert_eq!(logins(&site), ["xcp-a"], "{what}");
        fs::read_to_string(site.host.path("ssh.log")).unwrap().lines().count()
    };
    let commands = once("clone", &|| site.tm_recorded("clone", &source));
    assert!(commands >= 4, "three calls of xe and disk.N: {commands}");
    once("resize", &|| site.tm_recorded("resize", ""));
    once("snap_create", &|| site.tm_recorded("snap_create", ""));
    once("delete of a disk", &|| site.tm_recorded("delete.2", ""));
    once("delete of a VM", &|| site.tm_recorded("delete.4", ""));
    once("mkfs", &|| site.ds("mkfs", "7", &with_bridges(&site, "mkfs", "xcp-a")));
    once("monitor", &|| site.ds("monitor", "100", &with_bridges(&site, "monitor", "xcp-a")));
    // Nothing of it stays.
    let left: Vec<_> =
        fs::read_dir(site.host.path("state")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("ssh-")), "{left:?}");
}

/// A state directory that cannot be used, or an ssh without multiplexing, costs logins and fails nothing.
#[test]
fn without_a_connection_each_command_logs_in() {
    let site = Site::new();
    let source = site.image();
    let old = "#!/bin/sh\n[ \"$1\" = -o ] && shift 2\n[ \"$1\" = -o ] && exit 1\nshift\nexec sh -c \"$*\"\n";
    site.program("bin/ssh", old);
    site.tm_recorded("clone", &source).ok();
    site.tm_recorded("delete.2", "").ok();
}

/// As xe; what is imported loses a byte on its way.
const LOSING_XE: &str = "#!/bin/sh\n\"$(dirname \"$0\")/xe.d/xe\" \"$@\"; code=$?\n\
    case \"$*\" in *vdi-import*) for word; do case $word in uuid=*)\n\
    printf X | dd of=\"$XE_SIM.vdi/${word#uuid=}\" conv=notrunc bs=1 seek=5242880 status=none ;; esac; done ;; esac\n\
    exit $code\n";

#[test]
fn an_image_is_read_back_if_that_is_wanted() {
    let site = Site::new();
    sparse_file(
        &site.host.path("disk.raw"),
        10 * MB,
        &[(0, b"boot"), (5 << 20, b"middle"), (9 << 20, b"last")],
    );
    site.program(
        "remotes/datastore/downloader.sh",
        &format!("#!/bin/sh\nexec cat '{}'\n", site.host.path("disk.raw").display()),
    );
    let cp = |file: &str| {
        let mut command = site.ds_command("cp", "2");
        command.env("VERIFY_IMAGES", "yes");
        said(&mut command, &site.cp_message(file, 10))
    };
    let before = site.host.dump();
    for file in ["disk.raw", "http://there/disk.raw"] {
        let said = cp(file);
        assert!(said.stderr.contains("was read back and holds what was sent"), "{file}: {said:#?}");
        let uuid = said.ok().split(' ').next().unwrap().to_owned();
        site.host.xe(&["vdi-destroy", &format!("uuid={uuid}")]);
    }
    fs::create_dir(site.host.path("bin/xe.d")).unwrap();
    fs::rename(site.host.path("bin/xe"), site.host.path("bin/xe.d/xe")).unwrap();
    site.program("bin/xe", LOSING_XE);
    for file in ["disk.raw", "http://there/disk.raw"] {
        let line = cp(file).failure();
        assert!(line.contains("the 2 MiB from byte 4194304 on are other ones"), "{file}: {line}");
        site.host.is_as(&before);
    }
}
