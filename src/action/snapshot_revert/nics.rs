//! A revert gives the VM the NICs of its snapshot (xapi_vm_snapshot.ml `update_vifs_vbds_vgpus_and_vusbs`). One that
//! was detached since must not stay: OpenNebula has given its addresses to others.

use crate::action::hotplug;
use crate::one::{Nic, Vm};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::network::{self, Vif};
use crate::xe::snapshot::Snapshot;
use crate::xe::{Uuid, Xe};

/// Whether the snapshot has the NICs that the VM is to have: then nothing is to be asked.
pub fn are_those_of(snapshot: &Snapshot, wanted: &Vm) -> bool {
    let nics = wanted.nics.iter().map(|nic| (nic.nic_id, nic.mac.as_str()));
    snapshot.other_config(mark::NICS) == Some(mark::nics(&snapshot.uuid, nics).as_str())
}

/// Takes away the NICs that OpenNebula has detached since, and says which ones the snapshot does not know.
///
/// The VM goes on all the same: it is back at its snapshot.
pub fn put_right(xe: &Xe, uuid: &Uuid, wanted: Option<&Vm>) {
    let Some(wanted) = wanted else { return };
    let vifs = match Vif::of_vm(xe, uuid) {
        Ok(vifs) => vifs,
        Err(error) => {
            report::warn(format!(
                "whether the VM's NICs are those that OpenNebula knows is not sure: {error:#}"
            ));
            return;
        }
    };
    let is_wanted = |vif: &Vif| wanted.nics.iter().any(|nic| is_of(vif, nic));
    for vif in vifs.iter().filter(|vif| mark::nic_id(vif).is_some() && !is_wanted(vif)) {
        match remove(xe, uuid, vif) {
            Ok(()) => report::info(format!(
                "NIC {} of the snapshot, detached since, is taken from the VM again",
                vif.mac
            )),
            Err(error) => report::warn(format!(
                "NIC {}, which was detached after the snapshot was taken, is in the VM again: {error:#}",
                vif.mac
            )),
        }
    }
    for nic in wanted.nics.iter().filter(|nic| !vifs.iter().any(|vif| is_of(vif, nic))) {
        report::warn(format!(
            "NIC {} ({}) was attached after the snapshot was taken and is not in the VM now: detach it and attach it \
             again",
            nic.nic_id, nic.mac
        ));
    }
}

fn is_of(vif: &Vif, nic: &Nic) -> bool {
    mark::nic_id(vif) == Some(nic.nic_id) && (nic.mac.is_empty() || vif.mac.eq_ignore_ascii_case(&nic.mac))
}

fn remove(xe: &Xe, uuid: &Uuid, vif: &Vif) -> Result<()> {
    let is_there = |test: fn(&Vif) -> bool| -> Result<bool> {
        Ok(Vif::of_vm(xe, uuid)?.iter().any(|now| now.uuid == vif.uuid && test(now)))
    };
    if vif.is_attached {
        hotplug::settle(xe, &network::unplug_vif(&vif.uuid), "DEVICE_ALREADY_DETACHED", || {
            Ok(!is_there(|now| now.is_attached)?)
        })?;
    }
    hotplug::settle(xe, &network::destroy_vif(&vif.uuid), "UUID_INVALID", || Ok(!is_there(|_| true)?))
}
