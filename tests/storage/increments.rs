//! Incremental backups: what each of them holds, what stays in the pool between them, and what happens where changes
//! cannot be told.

use crate::common::steps::Wrong;
use crate::common::{PROGRAM, Said, said};
use crate::site::Site;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "xcp-a:/var/lib/one//datastores/100/2";

/// VM 2's document, with this many backups in its chain.
fn vm(backups: usize) -> String {
    let last = i64::try_from(backups).unwrap() - 1;
    format!(
        "<VM><ID>2</ID><BACKUPS><BACKUP_CONFIG><MODE><![CDATA[INCREMENT]]></MODE>\
         <LAST_INCREMENT_ID><![CDATA[{last}]]></LAST_INCREMENT_ID></BACKUP_CONFIG></BACKUPS></VM>"
    )
}

fn command(site: &Site, script: &str, backups: usize) -> (Command, Vec<u8>) {
    (site.tm_command(script, &[FOLDER, "0", "-", "0", "2", "100"]), vm(backups).into_bytes())
}

fn run(site: &Site, script: &str, backups: usize) -> Said {
    let (mut command, stdin) = command(site, script, backups);
    said(&mut command, &stdin)
}

/// A VM with a disk of 10 MB that holds something in all of its first 4.
fn with_disk() -> Site {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    site.host.write_vdi(&site.disk(0), 0, &vec![7; 4 << 20]);
    site
}

/// Backs the disk up, takes the file away as a backup datastore does, and gives it back with what was said to
/// standard error, and in place of standard output how many calls it took.
fn back_up(site: &Site, chain: &[PathBuf]) -> (PathBuf, Said) {
    site.host.forget_calls();
    let said = run(site, "prebackup_live", chain.len());
    said.clone().ok();
    let said = Said { stdout: site.host.calls().len().to_string(), ..said };
    let name = format!("disk.0.{}", chain.len());
    let taken = site.host.path(&name);
    fs::copy(site.host.vm_folder(100, 2).join("backup").join(name), &taken).unwrap();
    run(site, "postbackup_live", chain.len()).ok();
    (taken, said)
}

fn qemu_img(args: &[&str]) -> bool {
    let Ok(output) = Command::new("qemu-img").args(args).output() else { return false };
    assert!(output.status.success(), "qemu-img {args:?}: {output:?}");
    true
}

/// The chain, put together as OpenNebula's backup datastores do (backup.rb `reconstruct_chain`, `merge_chain`), is
/// the disk.
#[track_caller]
fn is_the_disk(site: &Site, chain: &[PathBuf]) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (backing, image) in chain.iter().zip(&chain[1..]) {
        if !qemu_img(&["rebase", "-u", "-F", "qcow2", "-b", &text(backing), &text(image)]) {
            return;
        }
    }
    let merged = site.host.path("merged");
    if qemu_img(&["convert", "-f", "qcow2", "-O", "raw", &text(chain.last().unwrap()), &text(&merged)]) {
        assert!(fs::read(merged).unwrap() == site.host.vdi_bytes(&site.disk(0)), "another disk");
    }
}

/// The snapshots that backups have left, and the base copies under disks.
fn left(site: &Site) -> (Vec<String>, usize) {
    let of_vm = ["vdi-list", "other-config:one_increment_of=2", "params=uuid", "--minimal"];
    let list = |text: String| -> Vec<String> {
        text.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
    };
    let bases = list(site.host.xe(&["vdi-list", "managed=false", "params=uuid", "--minimal"]));
    (list(site.host.xe(&of_vm)), bases.len())
}

#[test]
fn an_increment_holds_what_has_changed() {
    let site = with_disk();
    let (_, bases) = left(&site);
    let mut chain = Vec::new();
    for change in [0_u8, 1, 2, 3] {
        if change > 0 {
            let disk = site.disk(0);
            site.host.write_vdi(&disk, u64::from(change) * 100_000, &[change; 10]);
            site.host.write_vdi(&disk, 6 << 20, &[change]);
        }
        let (file, said) = back_up(&site, &chain);
        assert!(!said.stderr.contains("as a whole"), "{said:#?}");
        let calls: usize = said.stdout.parse().unwrap();
        assert_eq!(calls, [9, 10, 11, 11][usize::from(change)]);
        if change > 0 {
            let bytes = fs::metadata(&file).unwrap().len();
            assert!(bytes < 600_000, "{bytes} bytes");
        }
        chain.push(file);
        is_the_disk(&site, &chain);
        // Only logs stay: no data is held for the next backup.
        let (snapshots, now) = left(&site);
        assert_eq!(now, bases);
        for snapshot in &snapshots {
            assert_eq!(site.vdi_param(snapshot, "type"), "CBT metadata");
        }
        assert!((1..=2).contains(&snapshots.len()), "{snapshots:?}");
    }
    // Full backups need none of them any more.
    site.tm("prebackup", &[FOLDER, "0", "-", "0", "2", "100"]).ok();
    assert_eq!(left(&site), (Vec::new(), bases));
}

#[test]
fn where_changes_are_not_known_all_of_the_disk_is_taken() {
    let site = with_disk();
    let mut chain = vec![back_up(&site, &[]).0];
    let disk = site.disk(0);
    // A tracking that was ended in between: the log has a gap.
    site.host.xe(&["vdi-disable-cbt", &format!("uuid={disk}")]);
    site.host.write_vdi(&disk, 1 << 20, &vec![0; 1 << 20]);
    let (file, said) = back_up(&site, &chain);
    assert!(said.stderr.contains("INFO: disk 0 is backed up as a whole: "), "{said:#?}");
    chain.push(file);
    is_the_disk(&site, &chain);
    // An SR that cannot track.
    site.host.xe(&["vdi-disable-cbt", &format!("uuid={disk}")]);
    site.host.sim(&["fail", "vdi-enable-cbt", "--code", "SR_OPERATION_NOT_SUPPORTED", "--always"]);
    site.host.write_vdi(&disk, 3 << 20, &vec![0; 1 << 20]);
    let (file, said) = back_up(&site, &chain);
    assert!(said.stderr.contains("INFO: changes of disk 0 are not tracked: "), "{said:#?}");
    assert!(said.stderr.contains("INFO: disk 0 is backed up as a whole: "), "{said:#?}");
    chain.push(file);
    is_the_disk(&site, &chain);
    assert!(left(&site).0.len() <= 1, "what has no log is of no use");
    // And once it can.
    site.host.sim(&["clear"]);
    for whole in [true, false] {
        site.host.write_vdi(&disk, 2 << 20, b"changed");
        let (file, said) = back_up(&site, &chain);
        assert_eq!(said.stderr.contains("as a whole"), whole, "{said:#?}");
        chain.push(file);
        is_the_disk(&site, &chain);
    }
}

#[test]
fn an_increment_that_was_cut_short_is_made_again() {
    let site = with_disk();
    let mut chain = vec![back_up(&site, &[]).0];
    site.host.write_vdi(&site.disk(0), 1 << 20, b"changed");
    site.each(&|site| command(site, "prebackup", 1), &|site, step| {
        if step.said.code.is_some_and(|code| code != 0) {
            site.host.is_as_after(&step.before, format_args!("{step:#?}"));
            assert!(!site.host.vm_folder(100, 2).join("backup").exists());
        }
        // OpenNebula says that it has failed, and counts no increment.
        if step.wrong == Wrong::Killed {
            run(site, "postbackup", 1).ok();
        }
        let (file, said) = back_up(site, &chain[..1]);
        assert!(!said.stderr.contains("as a whole"), "{said:#?} after {step:#?}");
        is_the_disk(site, &[chain[0].clone(), file]);
        assert_eq!(site.vdi_param(&site.disk(0), "other-config"), "", "{step:#?}");
    });
    chain.push(back_up(&site, &chain).0);
    is_the_disk(&site, &chain);
}

#[test]
fn an_increment_that_nobody_took_away_is_made_again() {
    let site = with_disk();
    let mut chain = vec![back_up(&site, &[]).0];
    for at in [1, 2] {
        site.host.write_vdi(&site.disk(0), at << 20, b"changed");
        run(&site, "prebackup_live", 1).ok();
        // The backup server cannot be reached: OpenNebula counts no increment.
        run(&site, "postbackup_live", 1).ok();
    }
    let (file, said) = back_up(&site, &chain);
    assert!(!said.stderr.contains("as a whole"), "{said:#?}");
    chain.push(file);
    is_the_disk(&site, &chain);
    // The one before and this one: only the next backup tells whether it was taken away.
    assert_eq!(left(&site).0.len(), 2);
}

#[test]
fn a_vm_that_goes_takes_its_snapshots_along() {
    let site = with_disk();
    back_up(&site, &[]).1.ok();
    run(&site, "prebackup", 1).ok();
    assert!(!left(&site).0.is_empty());
    site.tm("delete", &[&format!("{FOLDER}/disk.0"), "2", "100"]).ok();
    site.tm("delete", &[FOLDER, "2", "100"]).ok();
    assert!(left(&site).0.is_empty());
}

/// What `gc` says while OpenNebula has these VMs.
fn gc(site: &Site, vms: &str, args: &[&str]) -> String {
    let mut command = site.host.command(PROGRAM);
    command.args(["gc", "--vms-of", "-"]).args(args);
    said(&mut command, vms.as_bytes()).ok()
}

#[test]
fn snapshots_of_a_vm_that_opennebula_has_no_more_are_leftovers() {
    let site = with_disk();
    back_up(&site, &[]).1.ok();
    let (kept, _) = left(&site);
    assert_eq!(kept.len(), 1);
    // The VM has gone to a datastore of another kind, or OpenNebula has forgotten it: with its disk or without.
    for has_disk in [true, false] {
        if !has_disk {
            site.host.xe(&["vdi-destroy", &format!("uuid={}", site.disk(0))]);
        }
        assert_eq!(gc(&site, "1 2", &["--yes"]), "", "its next increment needs it");
        assert_eq!(gc(&site, "1", &["--yes"]), "", "it may be younger than the list");
        let shown = gc(&site, "1 5", &[]);
        assert!(shown.contains(&format!("leftover VDI {}, one-2-backup-of-disk-0-increment-0", kept[0])));
        assert!(site.is_there(&kept[0]));
    }
    gc(&site, "1 5", &["--yes"]);
    assert_eq!(left(&site).0, Vec::<String>::new());
}

#[test]
fn a_snapshot_taken_by_hand_during_a_backup_is_kept() {
    let site = with_disk();
    let disk = format!("uuid={}", site.disk(0));
    // A backup is killed before it takes its mark off the disk; XAPI gives it to all snapshots of the disk.
    site.host.xe(&["vdi-param-set", &disk, "other-config:one_increment_attempt=2-1-1-1"]);
    let theirs = site.host.xe(&["vdi-snapshot", &disk]);
    let shown = gc(&site, "1 5", &["--yes"]);
    assert!(shown.contains(&format!("kept     VDI {theirs}, ")), "{shown}");
    // Neither is it a backup's for the scripts.
    back_up(&site, &[]).1.ok();
    run(&site, "prebackup", 1).ok();
    run(&site, "postbackup", 1).ok();
    site.tm("prebackup", &[FOLDER, "0", "-", "0", "2", "100"]).ok();
    site.tm("delete", &[FOLDER, "2", "100"]).ok();
    assert!(site.is_there(&theirs));
}

#[test]
fn interactive_backups_are_refused() {
    let site = with_disk();
    let (mut command, _) = command(&site, "prebackup", 0);
    let vm = vm(0).replace("<MODE>", "<INTERACTIVE>YES</INTERACTIVE><MODE>");
    let line = said(&mut command, vm.as_bytes()).failure();
    assert!(line.contains("INTERACTIVE=NO"), "{line}");
}
