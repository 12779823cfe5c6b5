//! The steps of a trial, in the order of a VM's life.

use super::step::{Scripts, Step, Verdict, need};
use super::vm::{
    BOOT_SUSPENDED, HOTPLUG, HOTPLUG_SNAPSHOT, MIGRATE, SAVE_SUSPEND, SHUTDOWN, SHUTDOWN_POWEROFF, TrialVm,
    disk,
};
use crate::report::Result;
use anyhow::Context;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// What a VNC server says first (RFC 6143 §7.1.1).
const VNC_GREETING: &[u8] = b"RFB ";
/// The console is opened beside the deployment.
const CONSOLE_LIMIT: Duration = Duration::from_secs(10);

/// A life under way.
struct Life<'a> {
    scripts: &'a Scripts<'a>,
    vm: &'a mut TrialVm,
    deploy_id: String,
    steps: Vec<Step>,
}

/// Plays it; `second_host` is where it migrates to. After a failed deployment there is no more to try.
pub fn play(scripts: &Scripts<'_>, vm: &mut TrialVm, second_host: Option<&str>) -> Vec<Step> {
    let mut life = Life { scripts, vm, deploy_id: String::new(), steps: Vec::new() };
    if life.deploy("deploy") {
        life.look();
        life.hotplug();
        life.snapshot();
        life.suspend();
        life.migrate(second_host);
        if life.leave("poweroff", SHUTDOWN_POWEROFF) && life.deploy("deploy again") {
            life.leave("terminate", SHUTDOWN);
        }
    }
    life.steps
}

impl Life<'_> {
    /// Runs a script of the VM; its answer, if the step has passed.
    fn step(
        &mut self,
        name: &'static str,
        words: &[&str],
        stdin: &str,
        check: impl FnOnce(&str) -> Result<()>,
    ) -> Option<String> {
        let (step, answer) = self.scripts.step(name, self.vm, words, stdin, check);
        self.steps.push(step);
        answer
    }

    fn skip(&mut self, name: &'static str, reason: &str) {
        let (reason, took) = (reason.to_owned(), Duration::ZERO);
        self.steps.push(Step { name, verdict: Verdict::Skipped, reason, took, calls: Vec::new() });
    }

    fn id(&self) -> String {
        self.vm.vm_id.to_string()
    }

    fn deploy(&mut self, name: &'static str) -> bool {
        let (file, host, id) = (self.vm.file("deployment.0"), self.vm.host().to_owned(), self.id());
        let words = ["deploy", &file, &host, &id, &host];
        let is_uuid = |answer: &str| answer.parse::<crate::xe::Uuid>().map(drop).context("DEPLOY_ID");
        let deploy_id = self.step(name, &words, &self.vm.deployment(), is_uuid);
        self.deploy_id = deploy_id.clone().unwrap_or_default();
        deploy_id.is_some()
    }

    /// What monitoring tells of it, and its console.
    fn look(&mut self) {
        let (uuid, host, id) = (self.deploy_id.clone(), self.vm.host().to_owned(), self.id());
        let is_active = |answer: &str| need(answer.contains("STATE=a"), &format!("it says {answer:?}"));
        self.step("poll", &["poll", &uuid, &host], "", is_active);
        let names_it = |answer: &str| need(answer.contains(&uuid), "it does not tell of the VM");
        self.step("VM status", &["probe", "vm/status", "xcp", &id, &host], "", names_it);
        self.step("VM figures", &["probe", "vm/monitor", "xcp", &id, &host], "", names_it);
        self.step("host figures", &["probe", "host/monitor", "xcp", &id, &host], "", |answer| {
            need(answer.contains("FREEMEMORY="), "it does not tell the host's memory")
        });
        self.console();
    }

    fn console(&mut self) {
        let start = Instant::now();
        let greeted = loop {
            match greeting(self.vm.console_port) {
                Err(_) if start.elapsed() < CONSOLE_LIMIT => std::thread::sleep(Duration::from_millis(200)),
                other => break other,
            }
        };
        let (verdict, reason) = match greeted {
            Ok(()) => (Verdict::Passed, String::new()),
            Err(error) => (Verdict::Failed, format!("{error:#}")),
        };
        let step = Step { name: "console", verdict, reason, took: start.elapsed(), calls: Vec::new() };
        self.steps.push(step);
    }

    fn hotplug(&mut self) {
        let (uuid, host, id) = (self.deploy_id.clone(), self.vm.host().to_owned(), self.id());
        let file = self.vm.file("disk.2");
        let message = self.vm.message(&uuid, HOTPLUG, &[&disk(2, "xvdb", "<ATTACH>YES</ATTACH>")]);
        let packed = BASE64_STANDARD.encode(&message);
        let attach = ["attach_disk", &uuid, &file, "xvdb", "1", &packed, &id, &host];
        if self.step("attach_disk", &attach, &message, |_| Ok(())).is_none() {
            return;
        }
        let detach = ["detach_disk", &uuid, &file, "xvdb", "1", &id, &host];
        if self.step("detach_disk", &detach, &message, |_| Ok(())).is_some() {
            let checked = self.vm.check_file(2);
            self.fail_last(&checked);
        }
    }

    fn snapshot(&mut self) {
        let (uuid, host, id) = (self.deploy_id.clone(), self.vm.host().to_owned(), self.id());
        let of = |vm: &TrialVm, snapshot: &str| {
            let section = format!(
                "<SNAPSHOT><ACTIVE>YES</ACTIVE><SNAPSHOT_ID>0</SNAPSHOT_ID><NAME>trial</NAME>\
                 <HYPERVISOR_ID>{snapshot}</HYPERVISOR_ID></SNAPSHOT>"
            );
            vm.message(&uuid, HOTPLUG_SNAPSHOT, &[&section])
        };
        let message = of(self.vm, "");
        let words = ["snapshot_create", &uuid, "0", &id, &host];
        let is_uuid = |answer: &str| answer.parse::<crate::xe::Uuid>().map(drop).context("its uuid");
        let Some(snapshot) = self.step("snapshot_create", &words, &message, is_uuid) else { return };
        let message = of(self.vm, &snapshot);
        for name in ["snapshot_revert", "snapshot_delete"] {
            self.step(name, &[name, &uuid, &snapshot, &id, &host], &message, |_| Ok(()));
        }
    }

    fn suspend(&mut self) {
        let (uuid, host, id) = (self.deploy_id.clone(), self.vm.host().to_owned(), self.id());
        let checkpoint = self.vm.file("checkpoint");
        let message = self.vm.message(&uuid, SAVE_SUSPEND, &[]);
        let save = ["save", &uuid, &checkpoint, &host, &id, &host];
        if self.step("save", &save, &message, |_| Ok(())).is_none() {
            return;
        }
        let message = self.vm.message(&uuid, BOOT_SUSPENDED, &[]);
        let restore = ["restore", &checkpoint, &host, &uuid, &id, &host];
        self.step("restore", &restore, &message, |_| Ok(()));
    }

    fn migrate(&mut self, second_host: Option<&str>) {
        const NAME: &str = "migrate";
        let Some(destination) = second_host else {
            return self.skip(NAME, "the pool has one host");
        };
        let (uuid, host, id) = (self.deploy_id.clone(), self.vm.host().to_owned(), self.id());
        let message = self.vm.message(&uuid, MIGRATE, &[]);
        let message =
            message.replacen("<DEPLOY_ID>", &format!("<MIGR_HOST>{destination}</MIGR_HOST><DEPLOY_ID>"), 1);
        let words = ["migrate", &uuid, destination, &host, &id, &host];
        if self.step(NAME, &words, &message, |_| Ok(())).is_some() {
            self.vm.is_on(destination);
        }
    }

    /// Powers it off hard, as no guest could be asked. What the disk holds must be in its file where the VM goes on.
    fn leave(&mut self, name: &'static str, lcm_state: u32) -> bool {
        let (uuid, host, id) = (self.deploy_id.clone(), self.vm.host().to_owned(), self.id());
        let message = self.vm.message(&uuid, lcm_state, &[]);
        let left = self.step(name, &["cancel", &uuid, &host, &id, &host], &message, |_| Ok(())).is_some();
        let checked = if left { self.vm.check_file(0) } else { Ok(()) };
        self.fail_last(&checked) && left
    }

    /// What a script did may be wrong although it says success.
    fn fail_last(&mut self, checked: &Result<()>) -> bool {
        let (Err(error), Some(last)) = (checked, self.steps.last_mut()) else { return true };
        last.verdict = Verdict::Failed;
        last.reason = format!("{error:#}");
        false
    }
}

fn greeting(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("nothing listens on 127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(CONSOLE_LIMIT))?;
    let mut start = [0; VNC_GREETING.len()];
    stream.read_exact(&mut start).with_context(|| format!("127.0.0.1:{port} says nothing"))?;
    need(start == VNC_GREETING, "it does not speak VNC")
}
