//! Each action compares the record that DEPLOY_ID names with the VM of its message: a record of somebody else's stays
//! as it is, and the reason is said.
use crate::bad_input_each::{ACTIONS, RECORDED_UUID};
use crate::common::{Host, PROGRAM, Recorded, Said, data_disk, sparse_file};
use std::fs;

/// OS/UUID of the recorded VM 1.
const OS_UUID: &str = "3c1c159b-2cd2-4428-9684-07110b6908c4";
const OTHER_OS_UUID: &str = "7d0e9a51-0000-4428-9684-07110b6908c4";
const TERMINATE: &str = "shutdown.3";

/// Some were recorded of a VM whose owner had changed its OS section.
fn with_os_uuid(stdin: &str) -> String {
    if stdin.contains(OS_UUID) {
        return stdin.to_owned();
    }
    assert!(!stdin.contains("<UUID>"), "{stdin}");
    let os = format!("<OS><UUID><![CDATA[{OS_UUID}]]></UUID>");
    if stdin.contains("<OS>") {
        stdin.replace("<OS>", &os)
    } else {
        stdin.replace("<VCPU_MAX>", &format!("{os}</OS><VCPU_MAX>"))
    }
}

/// VM 1 as recorded, and a record that somebody else made, running, with a snapshot and a checkpoint that names it.
struct Pool {
    host: Host,
    ours: String,
    other: String,
    snapshot: String,
}

impl Pool {
    fn new() -> Pool {
        let host = Host::new();
        fs::write(host.path("password"), "root\nxen\n").unwrap();
        let password_file = host.path("password").to_str().unwrap().to_owned();
        let host = host.set("XE_PASSWORD_FILE", &password_file);
        let ours = host.deploy().ok();
        data_disk::make_file(&host);
        let other = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
        let named = format!("uuid={other}");
        let snapshot = host.xe(&["vm-snapshot", &named, "new-name-label=before"]);
        // By hand, without a message, anybody's VM may be suspended.
        let checkpoint = host.vm_folder(0, 1).join("checkpoint");
        host.run("save", &[&other, checkpoint.to_str().unwrap(), "xcp-b"], b"").ok();
        host.xe(&["vm-resume", &named]);
        Pool { host, ours, other, snapshot }
    }

    fn mark(&self, marks: &[(&str, &str)]) {
        for (key, value) in marks {
            let pair = format!("other-config:{key}={value}");
            self.host.xe(&["vm-param-set", &format!("uuid={}", self.other), &pair]);
        }
    }

    fn run(&self, action: &str, name: &str, uuid: &str, change: &dyn Fn(&str) -> String) -> Said {
        let recorded = Recorded::load(name);
        let here = |text: &str| text.replace(RECORDED_UUID, uuid).replace("snapuuid-22196", &self.snapshot);
        let args: Vec<String> = recorded.argv.iter().map(|arg| here(arg)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let stdin = change(&here(&String::from_utf8(recorded.stdin).unwrap()));
        self.host.run(action, &args, stdin.as_bytes())
    }

    /// Each action on the other record is refused with these words, and nothing has changed.
    #[track_caller]
    fn each_action_is_refused(&self, with: &[&str]) {
        let before = self.host.dump();
        for (action, name) in ACTIONS.into_iter().chain([("cancel", "cancel.2"), ("shutdown", TERMINATE)]) {
            let said = self.run(action, name, &self.other, &with_os_uuid);
            self.host.is_as(&before);
            let line = said.failure();
            assert!(with.iter().all(|words| line.contains(words)), "{action}: {line}");
        }
        let poll = self.run("poll", "reboot", &self.other, &str::to_owned).failure();
        assert!(with.iter().all(|words| poll.contains(words)), "{poll}");
    }
}

#[test]
fn a_vm_that_somebody_else_made_is_refused() {
    let pool = Pool::new();
    let words = format!("DEPLOY_ID {} was not made for OpenNebula, and is not VM 1: nothing was", pool.other);
    pool.each_action_is_refused(&[&words, "one-xcp ls"]);
}

#[test]
fn another_vm_of_opennebulas_is_refused() {
    let pool = Pool::new();
    pool.mark(&[("one_vm_id", "2"), ("one_vm_uuid", &pool.other)]);
    pool.each_action_is_refused(&["is OpenNebula's VM 2, and not VM 1: nothing was changed"]);
}

#[test]
fn a_copy_of_the_vm_is_refused() {
    let pool = Pool::new();
    pool.mark(&[("one_vm_id", "1"), ("one_vm_uuid", &pool.ours), ("one_os_uuid", OS_UUID)]);
    pool.each_action_is_refused(&["is a copy of VM 1 that somebody made in the pool", "nothing was changed"]);
}

#[test]
fn another_machine_of_the_same_number_is_refused() {
    let pool = Pool::new();
    pool.mark(&[("one_vm_id", "1"), ("one_vm_uuid", &pool.other), ("one_os_uuid", OTHER_OS_UUID)]);
    let marked = format!("has OS/UUID {OTHER_OS_UUID}, and VM 1 has {OS_UUID}");
    pool.each_action_is_refused(&[&marked, "one-xcp gc", "nothing was changed"]);
}

#[test]
fn a_vm_without_os_uuid_is_known_by_its_number() {
    let pool = Pool::new();
    let old = |stdin: &str| stdin.replace(&format!("<UUID><![CDATA[{OS_UUID}]]></UUID>"), "");
    pool.run("reset", "reset", &pool.ours, &old).ok();
    pool.run("cancel", "cancel", &pool.ours, &old).ok();
    assert_eq!(pool.host.xe(&["vm-list", "name-label=one-1", "--minimal"]), "");
}

#[test]
fn by_hand_anybodys_vm_is_operated_but_not_as_another_number() {
    let pool = Pool::new();
    pool.host.run("reset", &[&pool.other, "xcp-b"], b"").ok();
    pool.mark(&[("one_vm_id", "2"), ("one_vm_uuid", &pool.other)]);
    pool.host.run("reset", &[&pool.other, "xcp-b", "2"], b"").ok();
    let line = pool.host.run("reset", &[&pool.other, "xcp-b", "1"], b"").failure();
    assert!(line.contains("is OpenNebula's VM 2, and not VM 1"), "{line}");
}

// Imported VMs.

fn imported(stdin: &str) -> String {
    stdin.replace("<VCPU_MAX>", "<IMPORTED><![CDATA[YES]]></IMPORTED><VCPU_MAX>")
}

fn state(pool: &Pool) -> String {
    pool.host.vm_param(&pool.other, "power-state")
}

#[test]
fn an_imported_vm_is_operated_and_stays_when_it_is_terminated() {
    let pool = Pool::new();
    let vdi = pool.host.vdi_in(&pool.other, "0");
    for (action, name) in [("reboot", "reboot"), ("reset", "reset"), ("shutdown", "shutdown")] {
        pool.run(action, name, &pool.other, &imported).ok();
    }
    assert_eq!(state(&pool), "halted");
    let deployment = Recorded::load("deploy");
    let document = String::from_utf8(deployment.stdin).unwrap();
    let named = format!("<DEPLOY_ID>{}</DEPLOY_ID>", pool.other);
    let document =
        imported(&document.replace("<DEPLOY_ID></DEPLOY_ID>", &named).replace("<DEPLOY_ID/>", &named));
    assert!(document.contains(&named), "{document}");
    let uuid = pool.host.deploy_document("xcp-b", document.as_bytes()).ok();
    assert_eq!((uuid, state(&pool).as_str()), (pool.other.clone(), "running"));
    for (action, name) in [("shutdown", TERMINATE), ("cancel", "cancel.4")] {
        pool.run(action, name, &pool.other, &imported).ok();
        assert_eq!((state(&pool).as_str(), pool.host.vdi_in(&pool.other, "0")), ("halted", vdi.clone()));
    }
    assert!(!pool.host.vm_param(&pool.other, "other-config").contains("one_"), "it is nobody's again");
    assert_eq!(pool.host.vm_param(&pool.ours, "power-state"), "running");
}

#[test]
fn a_disk_that_opennebula_attached_to_an_imported_vm_goes_with_it() {
    let pool = Pool::new();
    let vdi = pool.host.vdi_in(&pool.other, "0");
    pool.run("attach_disk", "attach_disk", &pool.other, &imported).ok();
    let attached = pool.host.xe(&["vdi-list", "name-label=one-1-disk-3", "--minimal"]);
    pool.host.write_vdi(&attached, 0, b"new data");
    let with_the_disk = Recorded::load("attach_disk").stdin;
    let with_the_disk = String::from_utf8(with_the_disk).unwrap().replace(RECORDED_UUID, &pool.other);
    let terminated = imported(&with_the_disk).replace("<LCM_STATE>17<", "<LCM_STATE>12<");
    pool.host.run("shutdown", &[&pool.other, "xcp-b", "1", "xcp-b"], terminated.as_bytes()).ok();
    assert!(fs::read(pool.host.vm_folder(0, 1).join("disk.3")).unwrap().starts_with(b"new data"));
    assert_eq!(pool.host.xe(&["vdi-list", "name-label=one-1-disk-3", "--minimal"]), "");
    assert_eq!(pool.host.vdi_in(&pool.other, "0"), vdi);
}

#[test]
fn what_is_imported_as_one_vm_is_no_other() {
    let pool = Pool::new();
    pool.run("reset", "reset", &pool.other, &imported).ok();
    let before = pool.host.dump();
    let vm_2 = |stdin: &str| imported(stdin).replace("<VM><ID>1</ID>", "<VM><ID>2</ID>");
    let line = pool.run("cancel", "cancel", &pool.other, &vm_2).failure();
    assert!(line.contains("was imported into OpenNebula as VM 1, and not as VM 2"), "{line}");
    // From release 7 on nothing is imported: IMPORTED means only that a user has given a DEPLOY_ID.
    fs::write(pool.host.path("remotes/VERSION"), "7.4.0\n").unwrap();
    let line = pool.run("cancel", "cancel", &pool.other, &imported).failure();
    assert!(line.contains("was not made for OpenNebula"), "{line}");
    pool.host.is_as(&before);
}

// A number that comes again.

fn probe(host: &Host, folder: &str, name: &str) -> String {
    let link = host.path(&format!("remotes/im/xcp-probes.d/{folder}/{name}"));
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    if !link.exists() {
        std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    }
    let document = Recorded::load("run_monitord_client").stdin;
    crate::common::said(host.command(link).args(["xcp", "0", "xcp-a"]), &document).ok()
}

fn deploy_other_machine(host: &Host, deploy_id: &str) -> Said {
    let recorded = Recorded::load("deploy").with(OS_UUID, OTHER_OS_UUID);
    let document = String::from_utf8(recorded.stdin).unwrap();
    let named = format!("<DEPLOY_ID>{deploy_id}</DEPLOY_ID>");
    let document = document.replace("<DEPLOY_ID></DEPLOY_ID>", &named).replace("<DEPLOY_ID/>", &named);
    host.deploy_document("xcp-a", document.as_bytes())
}

#[test]
fn a_number_that_comes_again_gets_nothing_of_the_old_machine() {
    for is_off in [false, true] {
        let host = Host::new();
        let old = host.deploy().ok();
        let vdi = host.vdi_in(&old, "0");
        host.write_vdi(&vdi, 0, b"old data");
        if is_off {
            host.xe(&["vm-shutdown", &format!("uuid={old}"), "force=true"]);
        }
        let said = deploy_other_machine(&host, "");
        let warned = said
            .log()
            .iter()
            .any(|line| line.starts_with("WARN: ") && line.contains(&old) && line.contains("one-xcp gc"));
        assert!(warned, "{said:#?}");
        let new = said.ok();
        assert_ne!(new, old);
        assert_eq!(host.vdi_start(&host.vdi_in(&new, "0")), "boot", "what its file holds");
        assert_eq!((host.vdi_in(&old, "0"), host.vdi_start(&vdi).as_str()), (vdi.clone(), "old data"));
        let state = if is_off { "halted" } else { "running" };
        assert_eq!(host.vm_param(&old, "power-state"), state);
        for (folder, name) in [("vm/status", "xcp-status"), ("vm/monitor", "xcp-monitor")] {
            let told = probe(&host, folder, name);
            assert!(told.contains(&new) && !told.contains(&old), "{told}");
        }
        let list = host.one_xcp(&["ls"]).ok();
        assert!(list.contains(&new) && list.contains(&old), "an administrator sees both: {list}");
        // Without a DEPLOY_ID each is found by its number and OS/UUID.
        host.on_vm("cancel", "cancel", "-").ok();
        assert_eq!(host.vm_param(&new, "power-state"), "running", "the other one");
        assert_eq!(host.xe(&["vm-list", &format!("uuid={old}"), "--minimal"]), "");
    }
}

#[test]
fn gc_names_the_old_machine_and_what_removes_it() {
    let host = Host::new();
    let old = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={old}"), "force=true"]);
    let new = deploy_other_machine(&host, "").ok();
    let list = "<VM_POOL><VM><ID>1</ID><STATE>3</STATE></VM></VM_POOL>";
    let mut gc = host.command(PROGRAM);
    let shown = crate::common::said(gc.args(["gc", "--vms-of", "-", "--yes"]), list.as_bytes()).ok();
    let advice = format!("one-xcp cancel {old} --discard");
    assert!(shown.contains(&format!("kept     VM {old} of VM 1")) && shown.contains(&advice), "{shown}");
    assert_eq!(host.vm_param(&old, "power-state"), "halted");
    host.one_xcp(&["cancel", &old, "--discard"]).ok();
    assert_eq!(host.xe(&["vm-list", &format!("uuid={old}"), "--minimal"]), "");
    assert_eq!(host.vm_param(&new, "power-state"), "running");
    assert_eq!(host.vdi_start(&host.vdi_in(&new, "0")), "boot");
}

#[test]
fn a_record_that_opennebula_knows_under_another_os_uuid_is_neither_taken_nor_passed_over() {
    let host = Host::new();
    let old = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={old}"), "force=true"]);
    let before = host.dump();
    let line = deploy_other_machine(&host, &old).failure();
    assert!(line.contains("if OS/UUID was changed in OpenNebula: xe vm-param-set uuid="), "{line}");
    host.is_as(&before);
    let pair = format!("other-config:one_os_uuid={OTHER_OS_UUID}");
    host.xe(&["vm-param-set", &format!("uuid={old}"), &pair]);
    deploy_other_machine(&host, &old).ok();
}

#[test]
fn a_disk_without_disk_n_is_not_taken_from_another_machine() {
    let host = Host::new();
    sparse_file(&host.vm_folder(0, 1).join("disk.3"), 1 << 20, &[]);
    let sr = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let args =
        [format!("sr-uuid={sr}"), "name-label=one-1-disk-5".to_owned(), "virtual-size=1MiB".to_owned()];
    let vdi = host.xe(&["vdi-create", &args[0], &args[1], &args[2], "tags=one-1-disk-5"]);
    let other = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    let vbd = [format!("vm-uuid={other}"), format!("vdi-uuid={vdi}")];
    host.xe(&["vbd-create", &vbd[0], &vbd[1], "device=5"]);
    let before = host.dump();
    let place = format!("localhost:{}", host.vm_folder(100, 1).join("disk.5").display());
    let mut delete = host.command(host.path("remotes/tm/xcp/delete"));
    crate::common::said(delete.args([&place, "1", "100"]), b"").ok();
    host.is_as(&before);
}
