//! Keeping the consoles of a host's VMs: what should listen does, and what should not does not. For the
//! monitoring client, which sees all VMs every few seconds.

use super::{Console, Key, Mark, files, start};
use crate::report::Result;
use crate::xe::Uuid;
use anyhow::Context;
use std::collections::HashSet;
use std::path::Path;

/// A VM that runs on the host and is marked to have a console.
pub struct Running {
    pub vm_id: u32,
    pub vm: Uuid,
    pub mark: Mark,
}

/// Remembers from one round to the next.
#[derive(Default)]
pub struct Keeper {
    /// Relays without a VM in the last round: an action may have been starting one just then.
    doubtful: HashSet<Uuid>,
}

impl Keeper {
    /// Goes through the VMs that run on `host`; gives back what went wrong.
    pub fn keep(&mut self, called_as: &Path, key: &Key, host: &str, running: &[Running]) -> Result<()> {
        let mut first_failure = Ok(());
        for vm in running {
            let kept = keep_one(called_as, key, host, vm);
            if let Err(why) = kept.with_context(|| format!("VM {}", vm.vm_id))
                && first_failure.is_ok()
            {
                first_failure = Err(why);
            }
        }
        let wanted: HashSet<&Uuid> = running.iter().map(|vm| &vm.vm).collect();
        let mut doubtful = HashSet::new();
        for vm in files::vms().into_iter().filter(|vm| !wanted.contains(vm)) {
            // On a front-end other hosts' relays are there too.
            if files::of_vm(&vm).is_some_and(|relay| relay.host != host) {
                continue;
            }
            if self.doubtful.contains(&vm) {
                files::end(&vm)?;
            } else {
                doubtful.insert(vm);
            }
        }
        self.doubtful = doubtful;
        first_failure
    }
}

/// Has the VM's console listen as its mark says.
pub fn keep_one(called_as: &Path, key: &Key, host: &str, vm: &Running) -> Result<()> {
    let running = files::of_vm(&vm.vm);
    if running.is_some_and(|relay| relay.host == host && relay.mark == vm.mark) {
        return Ok(());
    }
    let password = if vm.mark.has_password() {
        let seal = vm
            .mark
            .seal()
            .context("its console's password was not kept: only `deploy` starts the console")?;
        Some(key.open(vm.vm_id, seal).context("its console's password cannot be read")?)
    } else {
        None
    };
    let (vm_id, vm, mark) = (vm.vm_id, vm.vm.clone(), vm.mark.clone());
    start(called_as, &Console { vm_id, vm, host: host.to_owned(), mark, password })
}
