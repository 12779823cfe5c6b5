//! One action at a time on one VM: OpenNebula may call `cancel` while a `deploy` is still under way.
//!
//! The lock holds between the drivers of one machine and user. It goes with its process, however that ends.

use crate::file_lock::FileLock;
use crate::report::{self, Result};
use crate::signal::Stop;
use crate::state_dir::{self, StateDir};
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, getuid, kill_process};
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a wait looks whether the VM is free.
const LOOK: Duration = Duration::from_millis(100);

/// The VM is ours until this is dropped.
#[must_use]
pub struct VmLock {
    file: Option<FileLock>,
    /// The file was there and nobody held it: the action before was killed, as it removes the file at its end.
    follows_killed: bool,
    /// What that action wrote down.
    note_of_killed: String,
    /// The first line of the file: whose it is.
    heading: String,
    /// The file is not removed.
    stays: bool,
    /// The lines that stay in the file at the end.
    kept: Mutex<Vec<String>>,
}

impl VmLock {
    /// Waits until no other action works on OpenNebula's VM. An error after `limit`, when told to stop, and where
    /// somebody else has put something in the lock's place.
    ///
    /// Where no lock can be made (its folder full or not there) the action goes on without, and says so.
    pub fn take(vm_id: u32, limit: Duration, stop: &Stop) -> Result<VmLock> {
        VmLock::take_ending(vm_id, limit, stop, |_| false)
    }

    /// The same; an action whose note `is_to_end` is told to stop (SIGTERM), and waited for.
    pub fn take_ending(
        vm_id: u32,
        limit: Duration,
        stop: &Stop,
        is_to_end: impl Fn(&str) -> bool,
    ) -> Result<VmLock> {
        let end = Instant::now() + limit;
        let mut waits = false;
        let mut ended = None;
        loop {
            stop.check()?;
            match VmLock::try_once(vm_id) {
                Ok(Some(mut lock)) => {
                    lock.follows_killed &= !waits;
                    lock.begin();
                    return Ok(lock);
                }
                Ok(None) if Instant::now() >= end => {
                    bail!("another action on VM {vm_id} has not ended within {} s", limit.as_secs())
                }
                Ok(None) => {}
                Err(why) if state_dir::is_not_ours(&why) => {
                    return Err(why.context(format!("cannot lock VM {vm_id}")));
                }
                Err(why) => {
                    report::warn(format!("cannot lock VM {vm_id}: {why:#}"));
                    return Ok(VmLock {
                        heading: String::new(),
                        file: None,
                        follows_killed: false,
                        note_of_killed: String::new(),
                        stays: false,
                        kept: Mutex::default(),
                    });
                }
            }
            if let Some(holder) = Holder::of(vm_id).filter(|holder| holder.notes.lines().any(&is_to_end))
                && ended != Some(holder.pid)
            {
                report::info(format!("another action on VM {vm_id} waits for its guest: it is told to stop"));
                _ = kill_process(holder.pid, Signal::TERM);
                ended = Some(holder.pid);
                waits = true;
            }
            if !waits {
                report::info(format!("another action on VM {vm_id} is under way: waiting for its end"));
                waits = true;
            }
            thread::sleep(LOOK);
        }
    }

    /// Takes the lock if nobody has it, for one that is no action: what a killed action has left for the next
    /// one stays.
    pub fn try_take(vm_id: u32) -> Result<Option<VmLock>> {
        let mut lock = VmLock::try_once(vm_id).with_context(|| format!("cannot lock VM {vm_id}"))?;
        if let Some(lock) = &mut lock {
            lock.stays = lock.follows_killed;
        }
        Ok(lock)
    }

    fn try_once(vm_id: u32) -> Result<Option<VmLock>> {
        let (dir, name) = (StateDir::open()?, name_of(vm_id));
        let was_there = dir.open_file(&name, rustix::fs::OFlags::RDONLY)?.is_some();
        let Some(file) = FileLock::try_take(&dir, &name)? else { return Ok(None) };
        let mut lock = VmLock {
            note_of_killed: file.text(),
            heading: String::new(),
            file: Some(file),
            follows_killed: was_there,
            stays: was_there,
            kept: Mutex::default(),
        };
        match EarlierLock::of(vm_id) {
            EarlierLock::None => {}
            EarlierLock::Held => return Ok(None),
            EarlierLock::OfKilled(note) => {
                lock.follows_killed = true;
                if let Some(file) = &lock.file
                    && lock.note_of_killed.is_empty()
                {
                    file.write(&note)?;
                    lock.note_of_killed = note;
                }
            }
        }
        lock.stays = false;
        Ok(Some(lock))
    }

    /// Whether an action of this machine and user is at work on OpenNebula's VM; yes if that cannot be told. Leaves
    /// the file as it is: it tells the next action of one that was killed.
    pub fn is_held(vm_id: u32) -> bool {
        let dir = StateDir::open();
        dir.and_then(|dir| FileLock::is_held(&dir, &name_of(vm_id))).unwrap_or(true)
            || EarlierLock::is_held(vm_id)
    }

    /// Whether the action before on this machine did not get to its end.
    pub fn follows_a_killed_action(&self) -> bool {
        self.follows_killed
    }

    /// When the action before began that did not get to its end, in seconds since 1970, where that is known.
    pub fn killed_action_began(&self) -> Option<u64> {
        Some(Holder::read(&self.note_of_killed)?.began)
    }

    /// Writes down whose the lock is, before the notes of an action that was killed.
    fn begin(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.heading = format!("{HEADING} {now} {}", process::id());
        let notes: Vec<&str> = self.notes_of_killed().collect();
        self.write(&notes);
    }

    /// Writes down what the next action must know if this one is killed; one line.
    pub fn note(&self, text: &str) {
        self.write(&[text]);
    }

    /// What was written down by [`VmLock::note`] is over.
    pub fn clear_note(&self) {
        self.write(&[]);
    }

    fn write(&self, notes: &[&str]) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.iter().map(String::as_str);
        let lines: Vec<&str> =
            std::iter::once(self.heading.as_str()).chain(kept).chain(notes.iter().copied()).collect();
        if let Some(Err(why)) = self.file.as_ref().map(|file| file.write(&lines.join("\n"))) {
            report::warn(format!("{why:#}"));
        }
    }

    /// Keeps this line for the next action, however this one ends: what it tells of may still be in the pool.
    pub fn keep_note(&self, text: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.iter().any(|line| line == text) {
            kept.push(text.to_owned());
        }
    }

    /// The lines that the actions before wrote down and did not get to the end of.
    pub fn notes_of_killed(&self) -> impl Iterator<Item = &str> {
        notes(&self.note_of_killed)
    }
}

impl Drop for VmLock {
    fn drop(&mut self) {
        let Some(file) = self.file.take().filter(|_| !self.stays) else { return };
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            file.remove();
        } else if let Err(why) = file.write(&format!("{}\n{}", self.heading, kept.join("\n"))) {
            report::warn(format!("{why:#}"));
        }
    }
}

/// Begins the first line of a lock's file: since when the action has it, and its process.
const HEADING: &str = "since";

fn notes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with(HEADING))
}

/// The action that has a lock.
struct Holder {
    /// Seconds since 1970.
    began: u64,
    pid: Pid,
    notes: String,
}

impl Holder {
    fn read(text: &str) -> Option<Holder> {
        let mut words = text.lines().next()?.split(' ');
        (words.next()? == HEADING).then_some(())?;
        let began = words.next()?.parse().ok()?;
        let pid = Pid::from_raw(words.next()?.parse().ok().filter(|pid| *pid > 1)?)?;
        Some(Holder { began, pid, notes: notes(text).collect::<Vec<_>>().join("\n") })
    }

    /// The one that has the VM's lock at this moment.
    fn of(vm_id: u32) -> Option<Holder> {
        let (dir, name) = (StateDir::open().ok()?, name_of(vm_id));
        let holder = Holder::read(&dir.read(&name).ok()??)?;
        FileLock::is_held(&dir, &name).ok()?.then_some(holder)
    }
}

fn name_of(vm_id: u32) -> String {
    format!("vm-{vm_id}.lock")
}

/// The lock of a driver of version 0.1, which kept it in the folder for temporary files: one may still be at work
/// while the drivers are replaced, or may have been killed before.
enum EarlierLock {
    None,
    Held,
    /// With what it wrote down. Its file is gone now.
    OfKilled(String),
}

impl EarlierLock {
    fn of(vm_id: u32) -> EarlierLock {
        // Whatever is not a plain file of this user's own was never that driver's.
        let Ok(dir) = StateDir::of_earlier_versions() else { return EarlierLock::None };
        match FileLock::try_take_existing(&dir, &EarlierLock::name(vm_id)) {
            Ok(Some(file)) => {
                let note = file.text();
                file.remove();
                EarlierLock::OfKilled(note)
            }
            Ok(None) => EarlierLock::Held,
            Err(_) => EarlierLock::None,
        }
    }

    fn is_held(vm_id: u32) -> bool {
        let dir = StateDir::of_earlier_versions();
        dir.and_then(|dir| FileLock::is_held(&dir, &EarlierLock::name(vm_id))).unwrap_or(false)
    }

    fn name(vm_id: u32) -> String {
        format!("one-xcp-{}-vm-{vm_id}.lock", getuid().as_raw())
    }
}
