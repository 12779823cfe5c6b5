//! VMs whose guests have powered themselves off: their persistent disks go back to their files before OpenNebula is told,
//! each by a program of its own. Once told, OpenNebula may end such a VM without calling any driver, and keeps the files.

use super::host::Host;
use super::log::Log;
use crate::action::write_back;
use crate::probe::vm_status::Status;
use crate::report::{Result, one_line};
use crate::translate::vm_state::State;
use crate::xe::Uuid;
use anyhow::Context;
use std::collections::HashMap;
use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So many at once: each moves whole disks.
const AT_ONCE: usize = 2;
/// So often it is tried. Then the VM is told as powered off all the same, and the log says what is not in its files.
const TRIES: u32 = 3;
/// So long after one that has failed.
pub const PAUSE: Duration = Duration::from_secs(10);

enum Job {
    Waiting { tries: u32, not_before: Instant },
    AtWork { tries: u32, program: Child },
    Ended,
}

/// The VMs that are off and have not been told as such, by uuid.
#[derive(Default)]
pub struct WriteBacks {
    jobs: HashMap<Uuid, Job>,
}

/// Whether the VM is off, and has disks that go back to files.
pub fn goes_back(vm: &Status) -> bool {
    vm.writes_back && vm.state == Some(State::Poweroff) && vm.resident_on.is_none()
}

impl WriteBacks {
    /// Begins what is due, and sees what has ended. `is_due`: OpenNebula takes the VM for one that is not off, and no
    /// action is at work on it. Waits for nothing.
    pub fn follow(
        &mut self,
        host: &Host,
        seen: &[Status],
        is_due: impl Fn(&Status) -> bool,
        pause: Duration,
        log: &Log,
    ) {
        let due: Vec<&Status> = seen.iter().filter(|vm| goes_back(vm) && is_due(vm)).collect();
        // One that went on, or is gone, is nobody's to hold; its program ends by itself.
        self.jobs.retain(|uuid, job| match job {
            Job::AtWork { .. } => true,
            _ => due.iter().any(|vm| vm.deploy_id == *uuid),
        });
        for job in self.jobs.values_mut() {
            job.look(pause, log);
        }
        for vm in due {
            let job = self.jobs.entry(vm.deploy_id.clone());
            job.or_insert(Job::Waiting { tries: 0, not_before: Instant::now() });
            let at_work = self.jobs.values().filter(|job| matches!(job, Job::AtWork { .. })).count();
            if let Some(job) = self.jobs.get_mut(&vm.deploy_id).filter(|_| at_work < AT_ONCE) {
                job.start(host, vm, log);
            }
        }
    }

    /// Whether the VM is not to be told as powered off yet.
    pub fn holds(&self, vm: &Uuid) -> bool {
        self.jobs.get(vm).is_some_and(|job| !matches!(job, Job::Ended))
    }
}

impl Job {
    fn start(&mut self, host: &Host, vm: &Status, log: &Log) {
        let Job::Waiting { tries, not_before } = self else { return };
        if Instant::now() < *not_before {
            return;
        }
        let tries = *tries + 1;
        *self = match program(host, vm) {
            Ok(program) => Job::AtWork { tries, program },
            Err(why) => {
                log.say(write_back::NAME, &format!("VM {}: {why:#}", vm.vm_id));
                Job::Ended
            }
        };
    }

    /// Sees whether its program has ended, without waiting for it.
    fn look(&mut self, pause: Duration, log: &Log) {
        let Job::AtWork { tries, program } = self else { return };
        let Ok(ended) = program.try_wait() else { return };
        let Some(status) = ended else { return };
        let mut said = String::new();
        if let Some(mut stderr) = program.stderr.take() {
            _ = stderr.read_to_string(&mut said);
        }
        if !said.is_empty() {
            log.say(write_back::NAME, &one_line(&said));
        }
        *self = if status.success() || *tries >= TRIES {
            Job::Ended
        } else {
            Job::Waiting { tries: *tries, not_before: Instant::now() + pause }
        };
    }
}

/// The VM's uuid among its arguments is what tells others that an action is at work on the VM.
fn program(host: &Host, vm: &Status) -> Result<Child> {
    let program = env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(program);
    command.arg("--called-as").arg(std::path::absolute(&host.called_as)?);
    command.args([write_back::NAME, &vm.deploy_id.to_string(), &vm.vm_id.to_string(), &host.name]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).current_dir("/");
    command.spawn().context("cannot start writing its disks back")
}
