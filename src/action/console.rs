//! What actions do about a VM's console, and `one-xcp console`, which shows where it listens. No action fails
//! for a console: what goes wrong is said in the VM's log.

use super::Caller;
use crate::console::{self, Graphics, MARK, Mark, Relay};
use crate::one::{self, Conf};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::{PowerState, Uuid, Xe, call, vm};
use anyhow::{Context, bail};
use std::fmt::Write;
use std::io::Read;

/// Show where a VM's console listens, and whether XAPI gives it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// OpenNebula's number of the VM, or its DEPLOY_ID
    vm: String,
    /// The host the VM is on, as OpenNebula names it
    #[arg(default_value = "")]
    host: String,
}

/// Has the console listen that the template asks for, or none: for a VM that runs and may have been marked for
/// another template.
pub fn open(caller: &Caller, conf: &Conf, xe: &Xe, host: &str, vm: &one::Vm, uuid: &Uuid) {
    match Graphics::of(vm, conf, host) {
        Ok(graphics) => reopen(caller, xe, graphics, uuid),
        Err(why) => warn(Err(why)),
    }
}

/// As [`open`] where it is known what the template asks for.
pub fn reopen(caller: &Caller, xe: &Xe, graphics: Option<Graphics>, uuid: &Uuid) {
    let Some(graphics) = graphics else {
        close(uuid);
        // Most have no such mark.
        let other_config = call("vm-param-remove").set("uuid", uuid).set("param-name", "other-config");
        _ = xe.run(&other_config.set("param-key", MARK));
        return;
    };
    let marked = xe.run(&vm::set(uuid).set_all([graphics.param()]));
    close_ended(xe, uuid, |relay| graphics.is_hindered_by(relay));
    warn(marked.and_then(|_| console::start(&caller.called_as, &graphics.of_vm(uuid))));
}

/// As [`open`] for a VM that was marked when it was made.
pub fn open_marked(caller: &Caller, xe: &Xe, graphics: Option<Graphics>, uuid: &Uuid) {
    if let Some(graphics) = graphics {
        close_ended(xe, uuid, |relay| graphics.is_hindered_by(relay));
        warn(console::start(&caller.called_as, &graphics.of_vm(uuid)));
    }
}

/// Takes the console away: the VM runs no more, or not here.
pub fn close(uuid: &Uuid) {
    if let Err(why) = console::end(uuid) {
        report::warn(format!("cannot take away the VM's console: {why:#}"));
    }
}

/// The same for a VM that leaves the pool: also what earlier records of it have left.
pub fn close_all(xe: &Xe, vm_id: Option<u32>, uuid: &Uuid) {
    close(uuid);
    close_ended(xe, uuid, |relay| Some(relay.vm_id) == vm_id);
}

/// Takes away the consoles of other VMs that are `meant` and whose VMs run no more: a guest that powers itself off
/// leaves its relay behind until the monitoring client sees it. XAPI is asked only where there is one.
fn close_ended(xe: &Xe, uuid: &Uuid, meant: impl Fn(&Relay) -> bool) {
    for (other, _) in console::others(uuid).into_iter().filter(|(_, relay)| meant(relay)) {
        let has_domain = |vm: vm::Vm| matches!(vm.power_state, PowerState::Running | PowerState::Paused);
        match vm::Vm::find(xe, &other).map(|found| found.is_some_and(has_domain)) {
            Ok(true) => {}
            Ok(false) => close(&other),
            Err(why) => report::warn(format!("VM {other} may have left its console open: {why:#}")),
        }
    }
}

/// After a migration. The destination's monitoring client opens the console there; with drivers on the front-end
/// it stays on this machine.
pub fn moved(caller: &Caller, conf: &Conf, vm_id: Option<u32>, vm: &vm::Vm, dest_host: &str) {
    let Some(marked) = vm.other_config(MARK) else { return };
    close(&vm.uuid);
    let (Some(_), Some(vm_id)) = (conf.optional("XE_SERVER"), vm_id) else { return };
    let opened = marked.parse::<Mark>().and_then(|mark| {
        let running = console::Running { vm_id, vm: vm.uuid.clone(), mark };
        console::keep_one(&caller.called_as, &console::Key::of(conf), dest_host, &running)
    });
    warn(opened);
}

fn warn(opened: Result<()>) {
    if let Err(why) = opened {
        report::warn(format!("the VM has no console: {why:#}"));
    }
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, &args.host)?;
    let vm = find(&xe, &args.vm)?;
    let mut text = format!("VM        {} is {}\n", vm.uuid, vm.power_state);
    let marked = vm.other_config(MARK).map(str::parse::<Mark>).transpose()?;
    let wants = match &marked {
        None => "none: the template has no GRAPHICS of TYPE=VNC, or CONSOLE=no".to_owned(),
        Some(mark) if mark.has_password() => format!("{}, with a password", mark.listen),
        Some(mark) => mark.listen.to_string(),
    };
    _ = writeln!(text, "wanted    {wants}");
    if let Some(seal) = marked.as_ref().and_then(Mark::seal)
        && let Some(vm_id) = vm.other_config(mark::VM_ID).and_then(|vm_id| vm_id.parse().ok())
        && let Err(why) = console::Key::of(&conf).open(vm_id, seal)
    {
        let why = report::one_line(&format!("{why:#}"));
        _ = writeln!(text, "password  cannot be read here, so only `deploy` starts the console: {why}");
    }
    let relay = console::of_vm(&vm.uuid);
    _ = match &relay {
        Some(relay) => writeln!(text, "relay     {} listens on {}", relay.pid, relay.mark.listen),
        None if marked.is_some() => {
            writeln!(text, "relay     none on this machine; the monitoring client of the VM's host starts it")
        }
        None => writeln!(text, "relay     none"),
    };
    let host = relay.map_or(args.host.clone(), |relay| relay.host);
    let answers = caller.xapi(&conf, &host).and_then(|xapi| {
        let xapi = xapi.context("XAPI_SOCKET is set to nothing")?;
        let mut version = [0; 12];
        xapi.console(&vm.uuid.to_string())?.read_exact(&mut version)?;
        Ok(String::from_utf8_lossy(&version).trim_end().to_owned())
    });
    _ = match answers {
        Ok(version) => writeln!(text, "XAPI      gives the console: {version}"),
        Err(why) => writeln!(text, "XAPI      {}", report::one_line(&format!("{why:#}"))),
    };
    Ok(text)
}

fn find(xe: &Xe, name: &str) -> Result<vm::Vm> {
    if let Ok(uuid) = name.parse::<Uuid>() {
        return vm::Vm::find(xe, &uuid)?.with_context(|| format!("the pool has no VM {uuid}"));
    }
    let vm_id: u32 =
        name.parse().with_context(|| format!("{name:?} is neither a VM's number nor its DEPLOY_ID"))?;
    let marked = vm::Vm::with_other_config(xe, mark::VM_ID, &vm_id.to_string())?;
    let mut found: Vec<vm::Vm> = marked.into_iter().filter(mark::is_original).collect();
    found.sort_by_key(|vm| vm.resident_on.is_some());
    match found.pop() {
        Some(vm) => Ok(vm),
        None => bail!("the pool has no VM {vm_id}"),
    }
}
