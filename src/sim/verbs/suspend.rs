//! Suspending VMs, and letting them go on.

use super::{machine, power};
use crate::sim::call::{Call, Run, Verb};
use crate::sim::guest;
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, refused};
use crate::sim::row::{Class, Row};
use crate::sim::select::{self, VMS, each_vm};
use crate::sim::storage;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb { name: "vm-suspend", required: &[], optional: &[], run: Run::Changes(suspend) },
    Verb { name: "vm-resume", required: &[], optional: &["force", "on"], run: Run::Changes(resume) },
];

/// Makes the VDI that a VM's memory goes to, in the suspend SR of the VM or the pool.
pub fn suspend_image(pool: &mut Pool, uuid: &str) -> Outcome<String> {
    let vm = pool.get(Class::Vm, uuid)?;
    let size = vm.number("memory-static-max");
    let own = vm.get("suspend-SR-uuid");
    let sr = if own.is_empty() { pool.own()?.get("suspend-image-SR") } else { own }.to_owned();
    if pool.find(Class::Sr, &sr).is_none() {
        return Err(refused("VM_NO_SUSPEND_SR", vec![pool.vm_param(uuid)]));
    }
    storage::check_new(pool, &sr, size)?;
    let mut vdi = Row::new(Class::Vdi, pool.new_uuid());
    vdi.set("name-label", "Suspend image");
    vdi.set("name-description", "Suspend image");
    vdi.set("sr-uuid", sr);
    vdi.set("type", "Suspend");
    vdi.put("sm-config", "vmhint", uuid.to_owned());
    vdi.set("location", vdi.uuid.clone());
    vdi.set("virtual-size", size.to_string());
    let image = vdi.uuid.to_string();
    pool.insert(vdi);
    Ok(image)
}

fn suspend(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    each_vm(pool, call, VMS, &["progress"], |pool, _, uuid| {
        lifecycle::check(pool, uuid, Op::Suspend)?;
        let image = suspend_image(pool, uuid)?;
        machine::end(pool, uuid, "suspended")?;
        pool.set(Class::Vm, uuid, "suspend-VDI-uuid", &image)
    })
}

fn resume(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    call.command.flag("force", false)?;
    let on = call.command.get("on").map(str::to_owned);
    each_vm(pool, call, VMS, &["on", "progress"], |pool, call, uuid| {
        let named = on.as_ref().map(|name| select::host(pool, name)).transpose()?;
        lifecycle::check(pool, uuid, Op::Resume)?;
        let host = if let Some(host) = named {
            host
        } else {
            let chosen = machine::choose_host(pool, uuid);
            power::told(pool, call, uuid, chosen)?
        };
        lifecycle::can_boot_here(pool, uuid, &host)?;
        let image = pool.get(Class::Vm, uuid)?.get("suspend-VDI-uuid").to_owned();
        let Some(vdi) = pool.find(Class::Vdi, &image) else {
            return Err(refused("VM_HAS_NO_SUSPEND_VDI", vec![pool.vm_param(uuid)]));
        };
        let sr = vdi.get("sr-uuid").to_owned();
        if !storage::is_reachable(pool, &sr, &host) {
            return Err(machine::about(pool, "VM_REQUIRES_SR", uuid, Class::Sr, &sr));
        }
        machine::begin(pool, uuid, &host)?;
        for class in [Class::Vbd, Class::Vif] {
            for device in pool.referring_uuids(class, "vm-uuid", uuid) {
                machine::attach(pool, class, &device)?;
            }
        }
        storage::remove(pool, &image)?;
        guest::wake(pool.edit(Class::Vm, uuid)?);
        pool.set(Class::Vm, uuid, "suspend-VDI-uuid", "")
    })
}
