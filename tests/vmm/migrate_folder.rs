//! Live migration on datastores that hosts do not share: the VM's folder goes with the VM, and OpenNebula's
//! `tm/postmigrate` then removes it from the source.

use crate::common::{Host, Recorded, Said, holds, sparse_file};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

const DISK_BYTES: usize = 5 << 20;

/// The datastores of the other host, as the simulated ssh has them.
fn on_b(host: &Host) -> PathBuf {
    host.path("hosts/xcp-b/datastores")
}

fn folder_on_b(host: &Host) -> PathBuf {
    on_b(host).join("0/1")
}

/// From now on actions are called on this host.
fn at(host: Host, name: &str) -> Host {
    let datastores = if name == "xcp-a" { host.path("datastores") } else { on_b(&host) };
    host.set("DATASTORE_LOCATION", datastores.to_str().unwrap())
}

/// A recorded action on this host, whichever it was recorded on.
fn run_on(host: &Host, name: &str, action: &str, recorded: &str, uuid: &str) -> Said {
    let recorded = Recorded::load(recorded);
    let own = |word: &str| match word {
        "xcp-a" | "xcp-b" => name.to_owned(),
        "11111111-2222-3333-4444-000000000001" => uuid.to_owned(),
        other => other.to_owned(),
    };
    let args: Vec<String> = recorded.argv.iter().map(|word| own(word)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    host.run(action, &args, &recorded.stdin)
}

fn migrate(host: &Host, uuid: &str, from: &str, to: &str) -> Said {
    host.run("migrate", &[uuid, to, from, "1", from], &Recorded::load("migrate").stdin)
}

/// As `tm/postmigrate` of `ssh` and `local` does on the source.
fn post_migrate(folder: &PathBuf) {
    fs::remove_dir_all(folder).unwrap();
}

fn deploy_on(host: &Host, name: &str, folder: &std::path::Path) -> String {
    let file = folder.join("deployment.1");
    let document = Recorded::load("deploy").stdin;
    host.run("deploy", &[file.to_str().unwrap(), name, "1", name], &document).ok()
}

/// As `tm/context` does before each start.
fn make_context_disc(folder: &std::path::Path) {
    sparse_file(&folder.join("disk.2"), 368 << 10, &[(32_769, b"CD001"), (32_808, b"CONTEXT")]);
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn after_a_migration_everything_works_on_the_destination_and_again_after_the_next() {
    let host = Host::new();
    fs::write(host.vm_folder(0, 1).join("vm.xml"), "<VM/>").unwrap();
    fs::write(host.path("datastores/0/.monitor"), "ssh\n").unwrap();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written on a");
    migrate(&host, &uuid, "xcp-a", "xcp-b").ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
    let (on_a, on_b) = (host.vm_folder(0, 1), folder_on_b(&host));
    assert_eq!(names(&on_b), ["disk.0", "disk.1", "disk.2", "vm.xml"]);
    assert_eq!(names(&on_a), names(&on_b), "nothing of ours stays on the source");
    assert_eq!(fs::read_to_string(on_b.parent().unwrap().join(".monitor")).unwrap(), "ssh\n");
    post_migrate(&on_a);

    let host = at(host, "xcp-b");
    run_on(&host, "xcp-b", "save", "save", &uuid).ok();
    assert!(on_b.join("checkpoint").exists());
    run_on(&host, "xcp-b", "restore", "restore", &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
    run_on(&host, "xcp-b", "prereconfigure", "prereconfigure", &uuid).ok();
    run_on(&host, "xcp-b", "reconfigure", "reconfigure", &uuid).ok();
    sparse_file(&on_b.join("disk.3"), 8 << 20, &[(0, b"hot")]);
    run_on(&host, "xcp-b", "attach_disk", "attach_disk", &uuid).ok();
    run_on(&host, "xcp-b", "detach_disk", "detach_disk", &uuid).ok();
    let snapshot = run_on(&host, "xcp-b", "snapshot_create", "snapshot_create", &uuid).ok();
    let message = Recorded::load("snapshot_delete").stdin;
    host.run("snapshot_delete", &[&uuid, &snapshot, "1", "xcp-b"], &message).ok();

    host.write_vdi(&host.vdi_in(&uuid, "0"), 2 << 20, b"written on b");
    run_on(&host, "xcp-b", "shutdown", "shutdown", &uuid).ok();
    let disk = fs::read(on_b.join("disk.0")).unwrap();
    assert_eq!(disk.len(), DISK_BYTES);
    assert!(disk[1 << 20..].starts_with(b"written on a") && disk[2 << 20..].starts_with(b"written on b"));
    assert!(!on_a.exists());

    let uuid = deploy_on(&host, "xcp-b", &on_b);
    migrate(&host, &uuid, "xcp-b", "xcp-a").ok();
    post_migrate(&on_b);
    let host = at(host, "xcp-a");
    host.write_vdi(&host.vdi_in(&uuid, "0"), 3 << 20, b"back on a");
    run_on(&host, "xcp-a", "shutdown", "shutdown.2", &uuid).ok();
    assert!(fs::read(on_a.join("disk.0")).unwrap()[3 << 20..].starts_with(b"back on a"));
    let uuid = deploy_on(&host, "xcp-a", &on_a);
    host.write_vdi(&host.vdi_in(&uuid, "0"), 3 << 20, b"for ever.");
    let persistent =
        Recorded::load("shutdown.3").with("<SAVE><![CDATA[NO]]></SAVE>", "<SAVE><![CDATA[YES]]></SAVE>");
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &persistent.stdin).ok();
    assert!(fs::read(on_a.join("disk.0")).unwrap()[3 << 20..].starts_with(b"for ever."));
    assert!(!host.xe(&["vdi-list", "params=name-label", "--minimal"]).contains("one-1-"));
}

#[test]
fn without_ssh_to_the_destination_the_vm_stays() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let (before, files) = (host.dump(), names(&host.vm_folder(0, 1)));
    for nth in 1..=3 {
        _ = fs::remove_file(host.path("ssh.log"));
        fs::write(host.path("ssh.fault"), format!("{nth} refused")).unwrap();
        let line = migrate(&host, &uuid, "xcp-a", "xcp-b").failure();
        assert!(line.contains("Connection timed out") && line.contains("the VM stays where it is"), "{line}");
        host.is_as_after(&before, format_args!("{nth}"));
        assert_eq!(names(&host.vm_folder(0, 1)), files, "{nth}");
        assert!(!folder_on_b(&host).exists(), "{nth}");
    }
    fs::remove_file(host.path("ssh.fault")).unwrap();
    migrate(&host, &uuid, "xcp-a", "xcp-b").ok();
    assert_eq!(names(&on_b(&host).join("0")), ["1"], "no half copy is left");
}

#[test]
fn killed_while_it_copies_it_goes_on_when_it_is_done_again() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    for nth in 1..=3 {
        _ = fs::remove_file(host.path("ssh.log"));
        fs::write(host.path("ssh.fault"), format!("{nth} killed")).unwrap();
        assert_eq!(migrate(&host, &uuid, "xcp-a", "xcp-b").code, None, "{nth}");
        assert_eq!(host.host_of(&uuid), "xcp-a");
        assert!(host.vm_folder(0, 1).join("disk.0").exists());
        crate::common::steps::wait_for_quiet(&host);
    }
    fs::remove_file(host.path("ssh.fault")).unwrap();
    migrate(&host, &uuid, "xcp-a", "xcp-b").ok();
    assert_eq!(names(&on_b(&host).join("0")), ["1"]);
    assert_eq!(names(&folder_on_b(&host)), ["disk.0", "disk.1", "disk.2"]);
}

#[test]
fn a_migration_that_fails_takes_the_copy_back_unless_the_vm_may_have_moved() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.sim(&["fail", "vm-migrate", "--code", "HOST_NOT_ENOUGH_FREE_MEMORY"]);
    migrate(&host, &uuid, "xcp-a", "xcp-b").failure();
    host.sim(&["clear"]);
    assert!(host.vm_folder(0, 1).join("disk.0").exists() && !folder_on_b(&host).exists());

    host.sim(&["hang", "vm-migrate"]);
    let host = host.set("XE_TRANSFER_TIMEOUT", "1");
    let said = migrate(&host, &uuid, "xcp-a", "xcp-b");
    assert!(said.stderr.contains("WARN: the copy xcp-b:"), "{said:#?}");
    said.failure();
    assert!(host.vm_folder(0, 1).join("disk.0").exists() && folder_on_b(&host).join("disk.0").exists());
}

#[test]
fn a_vm_that_is_there_already_gets_the_folder_it_lacks_and_keeps_one_it_has() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-migrate", &format!("uuid={uuid}"), "host=xcp-b", "live=true"]);
    migrate(&host, &uuid, "xcp-a", "xcp-b").ok();
    assert_eq!(names(&folder_on_b(&host)), names(&host.vm_folder(0, 1)));
    fs::write(folder_on_b(&host).join("newer"), "").unwrap();
    migrate(&host, &uuid, "xcp-a", "xcp-b").ok();
    assert!(folder_on_b(&host).join("newer").exists());
}

#[test]
fn a_folder_that_both_hosts_see_is_not_touched() {
    let shared =
        Recorded::load("migrate").with("<SHARED><![CDATA[NO]]></SHARED>", "<SHARED><![CDATA[YES]]></SHARED>");
    let host = Host::new();
    let uuid = host.deploy().ok();
    let files = names(&host.vm_folder(0, 1));
    host.run("migrate", &[&uuid, "xcp-b", "xcp-a", "1", "xcp-a"], &shared.stdin).ok();
    assert!(!host.path("ssh.log").exists(), "no ssh is needed");

    // Shared although OpenNebula does not say so.
    let host = Host::new();
    let uuid = host.deploy().ok();
    fs::create_dir(host.path("hosts")).unwrap();
    symlink(host.dir.path(), host.path("hosts/xcp-b")).unwrap();
    host.sim(&["fail", "vm-migrate", "--code", "HOST_DISABLED"]);
    migrate(&host, &uuid, "xcp-a", "xcp-b").failure();
    host.sim(&["clear"]);
    assert_eq!(names(&host.vm_folder(0, 1)), files);
    migrate(&host, &uuid, "xcp-a", "xcp-b").ok();
    assert_eq!(names(&host.vm_folder(0, 1)), files);
}

#[test]
fn to_another_datastore_of_the_same_host_the_folder_goes_without_ssh() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let message = Recorded::load("migrate")
        .with("datastores/0/1</DISK_TARGET_PATH>", "datastores/100/1</DISK_TARGET_PATH>")
        .with("<DS_ID>0</DS_ID>", "<DS_ID>100</DS_ID>");
    host.run("migrate", &[&uuid, "xcp-a", "xcp-a", "1", "xcp-a"], &message.stdin).ok();
    assert_eq!(names(&host.vm_folder(100, 1)), names(&host.vm_folder(0, 1)));
    assert!(!host.path("ssh.log").exists());
}

#[test]
fn a_folder_that_was_lost_is_made_anew_with_all_that_the_next_deployment_needs() {
    for (action, recorded) in [("shutdown", "shutdown"), ("cancel", "cancel")] {
        let host = Host::new();
        let folder = host.vm_folder(0, 1);
        let disk = fs::read(folder.join("disk.0")).unwrap();
        let uuid = host.deploy().ok();
        post_migrate(&folder);
        let said = run_on(&host, "xcp-a", action, recorded, &uuid);
        assert!(said.stderr.contains("WARN: there was no folder"), "{said:#?}");
        said.ok();
        assert!(fs::read(folder.join("disk.0")).unwrap() == disk);
        let swap = folder.join("disk.1");
        assert!(fs::metadata(&swap).unwrap().len() == 128 << 20 && holds(&swap, 4086, b"SWAPSPACE2"));
        make_context_disc(&folder);
        deploy_on(&host, "xcp-a", &folder);
    }
    // Suspended, and then gone on with.
    let host = Host::new();
    let folder = host.vm_folder(0, 1);
    let uuid = host.deploy().ok();
    post_migrate(&folder);
    run_on(&host, "xcp-a", "save", "save", &uuid).ok();
    run_on(&host, "xcp-a", "restore", "restore", &uuid).ok();
    run_on(&host, "xcp-a", "shutdown", "shutdown", &uuid).ok();
    assert_eq!(names(&folder), ["checkpoint", "disk.0", "disk.1"]);
}

#[test]
fn powered_off_by_its_guest_a_vm_whose_folder_was_lost_goes_on_with_its_disks() {
    let host = Host::new();
    let folder = host.vm_folder(0, 1);
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"by the guest");
    post_migrate(&folder);
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    // As `tm/context` before the next start.
    fs::create_dir_all(&folder).unwrap();
    make_context_disc(&folder);
    let resume = Recorded::load("deploy").with("<LCM_STATE>2</LCM_STATE>", "<LCM_STATE>20</LCM_STATE>");
    let said = host.deploy_document("xcp-a", &resume.stdin);
    assert!(said.stderr.contains("WARN: disk 0 has no file here"), "{said:#?}");
    let uuid = said.ok();
    assert!(host.vdi_bytes(&host.vdi_in(&uuid, "0"))[1 << 20..].starts_with(b"by the guest"));
    run_on(&host, "xcp-a", "shutdown", "shutdown", &uuid).ok();
    assert!(fs::read(folder.join("disk.0")).unwrap()[1 << 20..].starts_with(b"by the guest"));
}

#[test]
fn without_file_and_without_disk_in_the_pool_nothing_is_deployed() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    fs::remove_file(host.vm_folder(0, 1).join("disk.0")).unwrap();
    let before = host.dump();
    let resume = Recorded::load("deploy").with("<LCM_STATE>2</LCM_STATE>", "<LCM_STATE>20</LCM_STATE>");
    let line = host.deploy_document("xcp-a", &resume.stdin).failure();
    assert!(
        line.contains("there is no ") && line.contains("no VM of before in the pool that has disk 0"),
        "{line}"
    );
    host.is_as(&before);
}
