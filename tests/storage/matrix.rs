//! Each script, with each of its `xe` calls refused, unanswered, hanging, and the driver told to stop or killed
//! after it: the pool and the files are as before or as they were wanted, done again it succeeds, and whatever a
//! killed driver leaves is shown by `one-xcp gc`, which removes it.

use crate::common::steps::{Step, Wrong, each_call, wait_for_quiet};
use crate::common::{Said, said};
use crate::site::Site;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// The script's command line and standard input on a site.
pub type Script<'a> = dyn Fn(&Site) -> (Command, Vec<u8>) + Sync + 'a;

/// As [`row`], with each of the script's ssh connections failing before or after its work, and the script killed
/// after it.
pub fn row_of_ssh(site: &Site, failed: Failed, script: &Script<'_>) {
    let before = State::of(site);
    let kept = site.host.keep();
    let log = site.host.path("ssh.log");
    _ = fs::remove_file(&log);
    run(site, script).ok();
    let wanted = State::of(site);
    let connections = fs::read_to_string(&log).unwrap().lines().count();
    for nth in 1..=connections {
        for way in ["refused", "answer-lost", "killed"] {
            site.host.put_back(&kept);
            _ = fs::remove_file(&log);
            fs::write(site.host.path("ssh.fault"), format!("{nth} {way}\n")).unwrap();
            let said = run(site, script);
            wait_for_quiet(&site.host);
            fs::remove_file(site.host.path("ssh.fault")).unwrap();
            let (mut now, what) = (State::of(site), format!("{said:#?}, as connection {nth} was {way}"));
            // What no ssh could take away again is hidden, and the next call takes it away.
            now.files.retain(|path, _| !path.contains("/."));
            judge(site, &said, &now, &before, &wanted, failed, &what);
            again(site, script, &now, &wanted, failed == Failed::MakesAnother, &what);
        }
    }
}

/// What a script that has failed may leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// All is as it was.
    AsBefore,
    /// All is as it was. Each time it succeeds it makes a new image, which OpenNebula tells from others by its uuid.
    MakesAnother,
    /// It removes things that nobody wants any more, one after the other: what is gone stays gone.
    Onwards,
}

/// Runs the whole row of the matrix for one script.
pub fn row(site: &Site, failed: Failed, script: &Script<'_>) {
    let before = State::of(site);
    let kept = site.host.keep();
    run(site, script).ok();
    let wanted = State::of(site);
    run(site, script).ok();
    let makes_another = State::of(site) != wanted;
    assert!(!makes_another || failed == Failed::MakesAnother, "done a second time it should change nothing");
    site.host.put_back(&kept);
    each_call(
        &site.host,
        &[Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed],
        &|_| script(site),
        &|_, step| {
            let now = State::of(site);
            judge(site, &step.said, &now, &before, &wanted, failed, &format!("{step:#?}"));
            if step.said.code.is_none() {
                cleared(site, step, &now, &before, &wanted, failed);
            }
            again(site, script, &now, &wanted, makes_another, &format!("{step:#?}"));
        },
    );
    site.host.put_back(&kept);
    each_hanging(site, script, &|site, said, what| {
        let now = State::of(site);
        judge(site, said, &now, &before, &wanted, failed, what);
        again(site, script, &now, &wanted, makes_another, what);
    });
}

pub fn run(site: &Site, script: &Script<'_>) -> Said {
    let (mut command, stdin) = script(site);
    said(&mut command, &stdin)
}

/// Done again it succeeds, and all is as wanted; `gc` shows what else there is.
fn again(site: &Site, script: &Script<'_>, now: &State, wanted: &State, makes_another: bool, what: &str) {
    run(site, script).ok();
    if makes_another && now.has_all_of(wanted) {
        return;
    }
    let done = State::of(site);
    if done != *wanted {
        site.tidy();
        State::of(site).must_be(wanted, &format!("done again after {what}\n{done:#?}"));
    }
}

/// What must hold when the script has ended by itself.
fn judge(site: &Site, said: &Said, now: &State, before: &State, wanted: &State, failed: Failed, what: &str) {
    match said.code {
        // With what could not be cleared away at the end: gc does it.
        Some(0) if now != wanted => {
            site.tidy();
            State::of(site).must_be(wanted, what);
        }
        // Done, or the answer of the last step was lost.
        Some(_) if now == wanted => {}
        Some(_) if failed == Failed::Onwards => {
            assert!(now.is_between(before, wanted), "{now:#?}\nafter {what}");
        }
        // It could not clear away what it had made, and says so.
        Some(_) if said.stderr.contains("cannot take back") => {
            site.tidy();
            State::of(site).must_be(before, what);
        }
        Some(_) => now.must_be(before, what),
        None => (),
    }
}

/// A killed driver's leftovers are shown, and what is removed leaves the one state or the other.
fn cleared(site: &Site, step: &Step, now: &State, before: &State, wanted: &State, failed: Failed) {
    // A disk of a VM that OpenNebula has is OpenNebula's to delete, as far as it got.
    // So is its next VDI: which of the two counts is said by disk.N.
    let of_opennebula = |line: &&String| {
        let is_disk = line.contains("\"one-2-disk-") || line.starts_with("one-2-disk-");
        !is_disk || line.contains("[\"\"]")
    };
    let but_disks =
        |state: &State| -> Vec<String> { state.pool.iter().filter(of_opennebula).cloned().collect() };
    let is_settled = |now: &State| {
        but_disks(now) == but_disks(before)
            || but_disks(now) == but_disks(wanted)
            || (failed == Failed::Onwards && now.is_between(before, wanted))
    };
    if is_settled(now) {
        return;
    }
    let kept = site.host.keep();
    let shown = site.gc(&[]).ok();
    assert!(!shown.is_empty(), "gc shows nothing of\n{now:#?}\nafter {step:#?}");
    site.tidy();
    let cleared = State::of(site);
    assert!(is_settled(&cleared), "gc shows\n{shown}\nand has left\n{cleared:#?}\nafter {step:#?}");
    site.host.put_back(&kept);
}

/// Each call never answers, with its work done or not: all of them at once, each on a site of its own, as they
/// wait and do nothing else.
fn each_hanging(site: &Site, script: &Script<'_>, check: &(dyn Fn(&Site, &Said, &str) + Sync)) {
    let kept = site.host.keep();
    site.host.forget_calls();
    run(site, script).ok();
    let calls = site.host.calls();
    site.host.put_back(&kept);
    thread::scope(|scope| {
        for (at, call) in calls.iter().enumerate() {
            let only_reads = call.line.split(' ').next().unwrap().ends_with("-list");
            let ways: &[&[&str]] = if only_reads { &[&[]] } else { &[&[], &["--after"]] };
            for way in ways {
                let site = Site { host: site.host.copy() };
                scope.spawn(move || {
                    let nth = (at + 1).to_string();
                    site.host.sim(&[&["hang", "any", "--nth", &nth], *way].concat());
                    let (mut command, stdin) = script(&site);
                    command.env("XE_TIMEOUT", "3").env("XE_TRANSFER_TIMEOUT", "3");
                    let said = said(&mut command, &stdin);
                    site.host.sim(&["clear"]);
                    let what = format!("{said:#?}, as call {nth} hung {way:?}");
                    check(&site, &said, &what);
                });
            }
        }
    });
}

/// What the pool has of VDIs and VMs, and the files of the datastores: without the uuids, which are others each
/// time.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    pool: Vec<String>,
    files: BTreeMap<String, String>,
}

impl State {
    pub fn of(site: &Site) -> State {
        let fields = "params=uuid,name-label,tags,sr-uuid,virtual-size,vbd-uuids";
        let listed = site.host.xe(&["vdi-list", fields]);
        let mut vdis: BTreeMap<String, String> = BTreeMap::new();
        let mut pool = Vec::new();
        for record in listed.split("\n\n").filter(|record| !record.trim().is_empty()) {
            let field = |name: &str| {
                let line = record.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
                line.split_once(": ").map_or("", |(_, value)| value).to_owned()
            };
            let uuid = field("uuid");
            let mut tags: Vec<String> = field("tags").split("; ").map(str::to_owned).collect();
            tags.sort();
            let vbds = field("vbd-uuids").split("; ").filter(|uuid| !uuid.is_empty()).count();
            let content = site.host.vdi_start(&uuid);
            let (name, bytes, sr) = (field("name-label"), field("virtual-size"), field("sr-uuid"));
            let text = format!("{name} {tags:?} {bytes} on {sr} in {vbds} with {content:?}");
            vdis.insert(uuid, text.clone());
            pool.push(text);
        }
        let vms = site.host.xe(&["vm-list", "params=uuid,name-label,power-state"]);
        pool.extend(vms.split("\n\n").map(|record| record.trim().to_owned()));
        pool.sort();
        let mut files = BTreeMap::new();
        for folder in ["datastores", "staging"] {
            walk(&site.host.path(folder), &site.host.path(""), &vdis, &mut files);
        }
        State { pool, files }
    }

    /// Equal; else what differs is shown.
    #[track_caller]
    fn must_be(&self, other: &State, what: &str) {
        let more = |one: &State, other: &State| -> Vec<String> {
            let pool = one.pool.iter().filter(|line| !other.pool.contains(line)).cloned();
            let files = one.files.iter().filter(|(path, text)| other.files.get(*path) != Some(text));
            pool.chain(files.map(|(path, text)| format!("{path}: {text}"))).collect()
        };
        assert!(self == other, "more: {:#?}\nless: {:#?}\n{what}", more(self, other), more(other, self));
    }

    /// Nothing is there but what was there before or is wanted.
    /// A VDI whose VM has gone already counts as it was in the VM.
    fn is_between(&self, before: &State, wanted: &State) -> bool {
        let was_in_a_vm = |line: &String| before.pool.contains(&line.replace(" in 0 ", " in 1 "));
        let is_known = |line: &String| before.pool.contains(line) || wanted.pool.contains(line);
        self.pool.iter().all(|line| is_known(line) || was_in_a_vm(line))
            && self.files.iter().all(|(path, text)| {
                text == "names none"
                    || [before, wanted].iter().any(|state| state.files.get(path) == Some(text))
            })
    }

    /// All that is wanted is there, and maybe more.
    fn has_all_of(&self, wanted: &State) -> bool {
        wanted.pool.iter().all(|line| self.pool.contains(line))
    }
}

/// A file that names a VDI is told by what that VDI is; others by their size.
fn walk(folder: &Path, from: &Path, vdis: &BTreeMap<String, String>, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(from).unwrap().display().to_string();
        if path.is_dir() {
            walk(&path, from, vdis, files);
            files.insert(name, "folder".to_owned());
            continue;
        }
        let size = entry.metadata().unwrap().len();
        let text = if size < 200 { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        let is_uuid = text.trim().len() == 36;
        let gone = is_uuid.then(|| "names none".to_owned());
        let named = vdis.get(text.trim()).map(|vdi| format!("names {vdi}")).or(gone);
        let about = named.unwrap_or_else(|| if size < 200 { text } else { format!("{size} bytes") });
        files.insert(name, about);
    }
}
