//! Aliases of NICs: no devices, but addresses that the filter of the parent's VIF lets pass.

use crate::action::identity::Identity;
use crate::one::{Element, Nic, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::{mark, vif};
use crate::undo::Undo;
use crate::xe::network::{self, Vif};
use crate::xe::{Uuid, Xe, vm};
use anyhow::Context;

/// The addresses of the alias may pass.
pub fn attach(xe: &Xe, identity: &Identity, uuid: &Uuid, vm: &Vm, alias: &Element) -> Result<String> {
    let parent = parent(vm, alias)?;
    allow(xe, identity, uuid, parent, &parent.clone().without(alias))
}

/// They may not any more.
pub fn detach(xe: &Xe, identity: &Identity, uuid: &Uuid, vm: &Vm, alias: &Element) -> Result<String> {
    let parent = parent(vm, alias)?;
    allow(xe, identity, uuid, &parent.clone().without(alias), parent)
}

fn parent<'a>(vm: &'a Vm, alias: &Element) -> Result<&'a Nic> {
    let parent_id: u32 = alias.need("PARENT_ID")?;
    let found = vm.nics.iter().find(|nic| nic.nic_id == parent_id);
    found.with_context(|| format!("{}/PARENT_ID is {parent_id}, and the VM has no such NIC", alias.path()))
}

/// Lets the VIF of the NIC as it is now pass what its addresses say; fails back to what it was before.
fn allow(xe: &Xe, identity: &Identity, uuid: &Uuid, now: &Nic, before: &Nic) -> Result<String> {
    if !vif::is_locked(now) && !vif::is_locked(before) {
        report::info(format!("NIC {} has no filter: its aliases need nothing of XAPI", now.nic_id));
        return Ok(String::new());
    }
    let (record, vifs) = parallel::both(|| vm::Vm::find(xe, uuid), || Vif::of_vm(xe, uuid));
    if let Some(record) = record? {
        identity.check_and_mark(xe, &record)?;
    }
    let vifs = vifs?;
    let is_it = |vif: &&Vif| {
        mark::nic_id(vif) == Some(now.nic_id)
            || (!now.mac.is_empty() && vif.mac.eq_ignore_ascii_case(&now.mac))
    };
    let Some(vif) = vifs.iter().find(is_it) else {
        report::info(format!("VM {uuid} has no NIC {}: nothing to do", now.nic_id));
        return Ok(String::new());
    };
    let undo = Undo::new(xe);
    undo.by(network::set_vif(&vif.uuid).set_all(vif::filter(before)));
    xe.run(&network::set_vif(&vif.uuid).set_all(vif::filter(now)))
        .with_context(|| format!("cannot set which addresses may pass NIC {}", now.nic_id))?;
    undo.keep();
    Ok(String::new())
}
