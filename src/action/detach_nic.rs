//! `detach_nic`: takes a NIC from a VM, by its MAC address.

use super::Caller;
use super::hotplug::{self, alias};
use crate::one::nic::ALIAS;
use crate::one::{Element, Message};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::network::{self, Vif};
use crate::xe::pluggable::Pluggable;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, bail, ensure};

/// Take a NIC from a running VM.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The NIC's MAC address
    mac: String,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let element = match &message {
        Some(message) => Some(hotplug::device(&message.vm, &["NIC", ALIAS, "PCI"])?),
        None => None,
    };
    ensure!(
        element.is_none_or(|element| element.name() != "PCI"),
        "XAPI takes PCI devices only from VMs that are powered off"
    );
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, identity.vm_id())?;
    // Its MAC address may be its parent's, which stays.
    if let (Some(message), Some(element)) = (&message, element.filter(|element| element.name() == ALIAS)) {
        return alias::detach(&xe, &identity, &args.deploy_id, &message.vm, element);
    }
    let (there, vifs) =
        parallel::both(|| Pluggable::find(&xe, &args.deploy_id), || Vif::of_vm(&xe, &args.deploy_id));
    let (there, vifs) = (there?, vifs?);
    if let Some(there) = &there {
        identity.check_and_mark(&xe, there)?;
    }
    let (Some(there), Some(vif)) = (there, chosen(&vifs, &args.mac, element)?) else {
        report::info(format!("VM {} has no NIC {}: nothing to do", args.deploy_id, args.mac));
        return Ok(String::new());
    };
    hotplug::is_live(&args.deploy_id, &there)?;
    detach(&xe, &args.deploy_id, vif)
        .with_context(|| format!("cannot detach NIC {} from VM {}", args.mac, args.deploy_id))?;
    Ok(String::new())
}

/// The VIF with this MAC address; of several the one that was made for this NIC.
fn chosen<'a>(vifs: &'a [Vif], mac: &str, element: Option<&Element>) -> Result<Option<&'a Vif>> {
    let same: Vec<&Vif> = vifs.iter().filter(|vif| vif.mac.eq_ignore_ascii_case(mac)).collect();
    let nic_id: Option<u32> = element.map_or(Ok(None), |element| element.get("NIC_ID"))?;
    match same.as_slice() {
        [] => Ok(None),
        [vif] => Ok(Some(*vif)),
        several => match several.iter().find(|vif| nic_id.is_some() && mark::nic_id(vif) == nic_id) {
            Some(vif) => Ok(Some(*vif)),
            None => bail!("the VM has {} NICs with the MAC address {mac}", several.len()),
        },
    }
}

/// If it cannot be removed after it was unplugged, the guest gets it back.
fn detach(xe: &Xe, uuid: &Uuid, vif: &Vif) -> Result<()> {
    let undo = Undo::new(xe);
    let is_there = |test: fn(&Vif) -> bool| -> Result<bool> {
        Ok(Vif::of_vm(xe, uuid)?.iter().any(|now| now.uuid == vif.uuid && test(now)))
    };
    if vif.is_attached {
        undo.by(network::plug_vif(&vif.uuid));
        hotplug::settle(xe, &network::unplug_vif(&vif.uuid), "DEVICE_ALREADY_DETACHED", || {
            Ok(!is_there(|now| now.is_attached)?)
        })?;
    }
    hotplug::settle(xe, &network::destroy_vif(&vif.uuid), "UUID_INVALID", || Ok(!is_there(|_| true)?))?;
    undo.keep();
    Ok(())
}
