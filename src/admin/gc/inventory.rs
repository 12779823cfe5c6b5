//! What the pool has that carries our marks, in a few lists side by side.

use crate::parallel;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::vdi::Vdi;
use crate::xe::vm::Vm;
use crate::xe::{PowerState, Record, Uuid, Xe, time};
use std::collections::{HashMap, HashSet};

/// What only this command asks of a VM.
#[derive(Clone, Debug, Default)]
pub struct More {
    pub is_busy: bool,
    /// Seconds since 1970.
    pub installed: Option<u64>,
    /// The VDI with its memory.
    pub suspended_to: Option<Uuid>,
}

/// A VM of ours.
#[derive(Clone, Debug)]
pub struct Machine {
    pub vm_id: u32,
    pub vm: Vm,
    pub more: More,
}

/// A VDI with a VM's memory.
#[derive(Clone, Debug)]
pub struct SuspendImage {
    pub uuid: Uuid,
    /// The VM it was made for, as XAPI notes it (xapi_xenops.ml:3850).
    pub vm: Uuid,
}

/// A snapshot; it has the marks of its VM, if that was one of ours.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub uuid: Uuid,
    /// The VM's number and uuid.
    pub of: Option<(u32, Uuid)>,
    pub suspended_to: Option<Uuid>,
}

pub struct Inventory {
    pub ours: Vec<Machine>,
    /// VMs that a driver has made and not yet marked.
    pub unmarked: Vec<Machine>,
    pub vdis: Vec<Vdi>,
    pub suspend_images: Vec<SuspendImage>,
    /// Those of our VMs.
    pub snapshots: Vec<Snapshot>,
    /// All that can own a VDI or a memory image: VMs and snapshots.
    pub machines: HashSet<Uuid>,
    /// Memory images that a VM or a snapshot still names.
    pub suspended_to: HashSet<Uuid>,
}

impl Inventory {
    pub fn look_up(xe: &Xe) -> Result<Inventory> {
        let (((vms, more), names), ((vdis, images), frozen)) = parallel::both(
            || parallel::both(|| parallel::both(|| Vm::all(xe), || more(xe)), || unmarked(xe)),
            || parallel::both(|| parallel::both(|| Vdi::all(xe), || suspend_images(xe)), || snapshots(xe)),
        );
        let (vms, mut more, names, frozen) = (vms?, more?, names?, frozen?);
        let images_of_vms = more.values().filter_map(|more| more.suspended_to.clone());
        let suspended_to =
            images_of_vms.chain(frozen.iter().filter_map(|snapshot| snapshot.suspended_to.clone()));
        let mut found = Inventory {
            ours: Vec::new(),
            unmarked: Vec::new(),
            vdis: vdis?,
            suspend_images: images?,
            machines: vms
                .iter()
                .map(|vm| &vm.uuid)
                .chain(frozen.iter().map(|vm| &vm.uuid))
                .cloned()
                .collect(),
            suspended_to: suspended_to.collect(),
            snapshots: frozen.into_iter().filter(|snapshot| snapshot.of.is_some()).collect(),
        };
        for vm in vms {
            // One that came or went between two lists is not for us to judge.
            let more = more.remove(&vm.uuid).unwrap_or(More { is_busy: true, ..More::default() });
            let vm_id = vm.other_config(mark::VM_ID).and_then(|id| id.parse().ok());
            if let (Some(vm_id), true) = (vm_id, mark::is_original(&vm)) {
                found.ours.push(Machine { vm_id, vm, more });
            } else if let (Some(vm_id), None) = (names.get(&vm.uuid), vm_id) {
                found.unmarked.push(Machine { vm_id: *vm_id, vm, more });
            }
        }
        found.ours.sort_by_key(|machine| machine.vm_id);
        Ok(found)
    }
}

impl Machine {
    pub fn is_halted(&self) -> bool {
        self.vm.power_state == PowerState::Halted
    }

    /// Neither halted nor suspended.
    pub fn is_awake(&self) -> bool {
        !self.is_halted() && self.vm.power_state != PowerState::Suspended
    }
}

fn more(xe: &Xe) -> Result<HashMap<Uuid, More>> {
    let fields = ["uuid", "current-operations", "install-time", "suspend-VDI-uuid"];
    let read = |record: &Record<'_>| {
        let more = More {
            is_busy: record.members("current-operations").next().is_some(),
            installed: time::unix(record.text("install-time")),
            suspended_to: record.optional("suspend-VDI-uuid")?,
        };
        Ok((record.get("uuid")?, more))
    };
    Ok(xe.list("vm", &fields, &[("is-control-domain", "false")], read)?.into_iter().collect())
}

/// Whoever may name VMs could forge a record here: before anything is removed XAPI is asked whether this very
/// VM has this very name.
fn unmarked(xe: &Xe) -> Result<HashMap<Uuid, u32>> {
    let read = |record: &Record<'_>| {
        let vm_id = mark::vm_id_of_unmarked(record.text("name-label"));
        vm_id.map(|vm_id| Ok((record.get::<Uuid>("uuid")?, vm_id))).transpose()
    };
    let filters = [("power-state", "halted"), ("is-control-domain", "false")];
    Ok(xe.list("vm", &["uuid", "name-label"], &filters, read)?.into_iter().flatten().collect())
}

fn suspend_images(xe: &Xe) -> Result<Vec<SuspendImage>> {
    let read = |record: &Record<'_>| {
        let vm = record.map_value("sm-config", "vmhint").and_then(|vm| vm.parse().ok());
        vm.map(|vm| Ok(SuspendImage { uuid: record.get("uuid")?, vm })).transpose()
    };
    Ok(xe.list("vdi", &["uuid", "sm-config"], &[("type", "Suspend")], read)?.into_iter().flatten().collect())
}

fn snapshots(xe: &Xe) -> Result<Vec<Snapshot>> {
    xe.list("snapshot", &["uuid", "suspend-VDI-uuid", "other-config"], &[], |record| {
        let vm_id = record.map_value("other-config", mark::VM_ID).and_then(|id| id.parse().ok());
        let of = record.map_value("other-config", mark::VM_UUID).and_then(|of| of.parse().ok());
        let (uuid, suspended_to) = (record.get("uuid")?, record.optional("suspend-VDI-uuid")?);
        Ok(Snapshot { uuid, of: vm_id.zip(of), suspended_to })
    })
}
