//! The steps that make the VM, each with what takes it back.

use super::plan::{Plan, PlannedDisk, Source, Writes};
use super::pool::Pool;
use super::unanswered;
use crate::action::in_progress;
use crate::image::Image;
use crate::one::Vm;
use crate::parallel;
use crate::report::{self, Result};
use crate::storage::fill::from_image;
use crate::translate::{mark, memory, vif};
use crate::undo::Undo;
use crate::xe::vm::MemoryLimits;
use crate::xe::{Uuid, Xe, failed_with, network, outcome_unknown, vbd, vdi, vm, xe_error};
use anyhow::{Context, anyhow};

/// Makes the VM's record. It is marked and gets its name by the next call, [`fill`]'s first.
pub fn install(xe: &Xe, undo: &Undo<'_>, pool: &Pool, vm: &Vm, plan: &Plan) -> Result<Uuid> {
    let name = mark::vm_name(vm.vm_id);
    let unmarked_name = mark::unmarked_vm_name(vm.vm_id);
    let began = in_progress::now();
    let template = pool.template.as_ref().map_err(|why| anyhow!("{why:#}"))?;
    let made = match xe.ask(&template.install(&unmarked_name, None)) {
        // Named only then: XAPI copies a template's disks to an SR that is named, which it else clones.
        Err(error) if wants_sr(&error) && pool.sr().is_ok() => {
            xe.ask(&template.install(&unmarked_name, pool.sr().ok()))
        }
        other => other,
    };
    if let Err(error) = &made {
        if outcome_unknown(error) {
            unanswered::wait(xe, began);
        }
        unanswered::find_vm(xe, undo, &unmarked_name);
    }
    let uuid: Uuid = made.with_context(|| format!("cannot make VM {name}"))?;
    // So far it has no disks but its template's, which go with it.
    let undo_with_disks = Undo::new(xe);
    undo_with_disks.by(vm::uninstall(&uuid));
    template.clear(xe, &uuid, &plan.params)?;
    let named =
        vm::set(&uuid).set_all(mark::vm_marks(vm, &uuid, plan.replaces.as_ref())).set("name-label", &name);
    xe.run(&named.set_all(plan.params.iter().cloned()))
        .with_context(|| format!("cannot set up VM {name}"))?;
    template.remove_devices(xe, &uuid)?;
    undo_with_disks.keep();
    undo.by(vm::destroy(&uuid));
    Ok(uuid)
}

/// Whether `vm-install` failed because the pool has no default SR for the template's own disks; a failure of the
/// command line's, which has no code (cli_operations.ml `vm_install_real`).
fn wants_sr(error: &anyhow::Error) -> bool {
    xe_error(error).is_some_and(|error| error.words.contains("valid default SR"))
}

/// Gives the VM its memory, disks and NICs: all side by side, each disk and NIC a chain of its own.
pub fn fill(xe: &Xe, undo: &Undo<'_>, pool: &Pool, vm: &Vm, plan: &Plan, uuid: &Uuid) -> Result<()> {
    let mut pieces = vec![Piece::Memory];
    pieces.extend(plan.has_tpm.then_some(Piece::Tpm));
    pieces.extend(plan.disks.iter().map(Piece::Disk));
    pieces.extend(
        vm.nics.iter().zip(&pool.networks).enumerate().map(|(device, (nic, network))| Piece::Nic {
            device,
            nic,
            network,
        }),
    );
    let added =
        parallel::map(&pieces, |piece| match piece {
            Piece::Memory => set_memory(xe, uuid, &plan.memory).context("cannot set the VM's memory"),
            Piece::Tpm => {
                xe.run(&vm::create_vtpm(uuid)).map(drop).context("cannot give the VM a TPM (VM/TEMPLATE/TPM)")
            }
            Piece::Disk(disk) => add_disk(xe, undo, pool, vm, uuid, disk)
                .with_context(|| format!("disk {}", disk.slot.disk_id)),
            Piece::Nic { device, nic, network } => add_nic(xe, undo, vm, uuid, *device, nic, network)
                .with_context(|| format!("NIC {}", nic.nic_id)),
        });
    added.into_iter().collect()
}

/// Sets the VM's memory, without room to grow where the pool has no dynamic memory control.
pub fn set_memory(xe: &Xe, uuid: &Uuid, limits: &MemoryLimits) -> Result<()> {
    let error = match xe.run(&vm::memory_limits(uuid, limits)) {
        Err(error) if failed_with(&error, &["MEMORY_CONSTRAINT_VIOLATION_MAXPIN"]) => error,
        other => return other.map(drop),
    };
    report::warn(format!(
        "MEMORY_MAX: the VM starts without room for more memory, as XAPI lets it have no range ({})",
        xe_error(&error).map_or_else(String::new, |xapi| xapi.params.join(", "))
    ));
    xe.run(&vm::memory_limits(uuid, &memory::pinned(limits))).map(drop)
}

enum Piece<'a> {
    Memory,
    Tpm,
    Disk(&'a PlannedDisk),
    Nic { device: usize, nic: &'a crate::one::Nic, network: &'a Uuid },
}

/// The VBD is marked last: a marked VBD's disk is complete.
pub fn add_disk(
    xe: &Xe,
    undo: &Undo<'_>,
    pool: &Pool,
    vm: &Vm,
    uuid: &Uuid,
    disk: &PlannedDisk,
) -> Result<()> {
    let slot = &disk.slot;
    let create = |vdi: &Uuid| -> Result<Uuid> {
        let call = vbd::create(uuid, vdi, slot.device, slot.kind, disk.is_read_only, disk.is_bootable);
        let vbd = xe.ask(&call)?;
        undo.by(vbd::destroy(&vbd));
        Ok(vbd)
    };
    let (vbd, vdi): (Uuid, Uuid) = match &disk.source {
        Source::Vdi { vdi, at_least_bytes } => {
            grow(xe, vdi, *at_least_bytes)?;
            (create(vdi)?, vdi.clone())
        }
        Source::Image { file, format, backing, vdi_size_bytes } => {
            let name = mark::vdi_name(vm.vm_id, slot.disk_id);
            let mut tags = mark::vdi_tags(uuid, vm.vm_id, slot.disk_id);
            tags.extend((disk.writes == Writes::Persistent).then(|| mark::PERSISTENT_TAG.to_owned()));
            let vdi: Uuid = xe.ask(&vdi::create(pool.sr()?, &name, *vdi_size_bytes, &tags))?;
            undo.by(vdi::destroy(&vdi));
            let fill =
                || from_image(xe, &vdi, &mut Image::open_chain(file, *format, backing)?, *vdi_size_bytes);
            let (filled, vbd) = parallel::both(fill, || create(&vdi));
            filled.with_context(|| format!("cannot bring {} into the pool", file.display()))?;
            (vbd?, vdi)
        }
    };
    let inserted = (slot.kind == vbd::Kind::Cd).then_some(&vdi);
    let marks = mark::vbd_marks(vm.vm_id, slot.disk_id, disk.image_id, &disk.origin, &disk.stamp, inserted);
    xe.run(&vbd::set(&vbd).set_all(marks).set_all(disk.goes_back.map(mark::format_mark))).map(drop)
}

/// Makes a VDI larger that is too small. This is not taken back: no VDI can be made smaller.
pub fn grow(xe: &Xe, vdi: &Uuid, at_least_bytes: u64) -> Result<()> {
    if at_least_bytes == 0 {
        return Ok(());
    }
    let now = vdi::Vdi::find(xe, vdi)?.with_context(|| format!("VDI {vdi} is gone"))?;
    if now.virtual_size_bytes < at_least_bytes {
        xe.run(&vdi::resize(vdi, at_least_bytes))?;
        report::info(format!("VDI {vdi} has grown to {at_least_bytes} bytes, as its file has"));
    }
    Ok(())
}

/// Gives the VM a NIC.
pub fn add_nic(
    xe: &Xe,
    undo: &Undo<'_>,
    vm: &Vm,
    uuid: &Uuid,
    device: usize,
    nic: &crate::one::Nic,
    network: &Uuid,
) -> Result<()> {
    let vif: Uuid = xe.ask(&network::create_vif(uuid, network, device, &nic.mac))?;
    undo.by(network::destroy_vif(&vif));
    let marks = mark::vif_marks(vm.vm_id, nic.nic_id);
    xe.run(&network::set_vif(&vif).set_all(marks).set_all(vif::params(nic, &vm.template)?)).map(drop)
}

/// Starts the VM on its host. Where the answer fails to come, its state decides.
pub fn start(xe: &Xe, undo: &Undo<'_>, pool: &Pool, vm: &Vm, uuid: &Uuid) -> Result<()> {
    undo.by(vm::hard_shutdown(uuid));
    let started = xe.run(&vm::start(uuid, &pool.host.uuid));
    match started {
        Err(error) if outcome_unknown(&error) => {
            let runs = vm::Vm::find(xe, uuid)?.is_some_and(|vm| vm.is_running_on(&pool.host.uuid));
            if runs { Ok(()) } else { Err(error) }
        }
        other => other.map(drop),
    }
    .with_context(|| format!("cannot start VM {} on {}", mark::vm_name(vm.vm_id), pool.host.name_label))
}
