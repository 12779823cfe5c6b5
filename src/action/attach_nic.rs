//! `attach_nic`: gives a VM that is there already one more NIC. An alias is no device: its addresses join those
//! that the filter of its parent lets pass.

use super::hotplug::{self, alias};
use super::{Caller, nic_network};
use crate::one::nic::ALIAS;
use crate::one::{Nic, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::{mark, vif};
use crate::undo::Undo;
use crate::xe::network::{self, Network, VIF_DEVICES, Vif};
use crate::xe::pluggable::Pluggable;
use crate::xe::{Uuid, Xe, failed_with};
use anyhow::{Context, bail, ensure};

/// Plug a NIC into a running VM.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The NIC's MAC address
    mac: String,
    /// The virtual network's BRIDGE
    bridge: String,
    /// The NIC's MODEL, or -
    model: String,
    /// The virtual network's driver
    vn_mad: String,
    /// The NIC's TARGET, as OpenNebula names it
    target: String,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = hotplug::message(None)?;
    let vm = &message.vm;
    let element = hotplug::device(vm, &["NIC", ALIAS, "PCI"])?;
    ensure!(
        element.name() != "PCI",
        "XAPI passes PCI devices through only to VMs that it starts: attach the NIC while the VM is powered off"
    );
    let identity = caller.identity(Some(&message), args.vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(vm.vm_id))?;
    if element.name() == ALIAS {
        return alias::attach(&xe, &identity, &args.deploy_id, vm, element);
    }
    let nic = vm.nics.iter().find(|nic| element.text("NIC_ID") == nic.nic_id.to_string());
    let nic = nic.context("VM/TEMPLATE has no such NIC")?;
    let ((there, vifs), networks) = parallel::both(
        || parallel::both(|| Pluggable::find(&xe, &args.deploy_id), || Vif::of_vm(&xe, &args.deploy_id)),
        || Network::all(&xe),
    );
    let (there, vifs, networks) = (there?, vifs?, networks?);
    let Some(there) = there else {
        ensure!(vm.lcm_state.is_powered_off(), "the pool has no VM {}", args.deploy_id);
        report::info("the VM is powered off and not in the pool: it gets the NIC when it is deployed");
        return Ok(String::new());
    };
    identity.check_and_mark(&xe, &there)?;
    let network = nic_network::of(&xe, &networks, nic)?;
    let is_live = hotplug::is_live(&args.deploy_id, &there)?;
    let job = Job { xe: &xe, uuid: &args.deploy_id, vm, nic, network: &network, vifs, is_live };
    let what = || format!("cannot attach NIC {} to VM {}", nic.nic_id, vm.vm_id);
    if job.has_it().with_context(what)? {
        report::info(format!("VM {} has a NIC {} already", args.deploy_id, nic.mac));
        return Ok(String::new());
    }
    hotplug::warn_of(vm, element, Vec::new(), vec![nic.clone()]);
    job.attach().with_context(what)?;
    Ok(String::new())
}

/// A NIC to attach, with everything that is known before the pool is changed.
struct Job<'a> {
    xe: &'a Xe,
    uuid: &'a Uuid,
    vm: &'a Vm,
    nic: &'a Nic,
    network: &'a Uuid,
    /// The VM's VIFs so far.
    vifs: Vec<Vif>,
    is_live: bool,
}

impl Job<'_> {
    /// The VIF with this MAC address; a VM has each once.
    fn same(&self) -> Option<&Vif> {
        self.vifs.iter().find(|vif| !self.nic.mac.is_empty() && vif.mac.eq_ignore_ascii_case(&self.nic.mac))
    }

    /// Whether there is nothing left to do.
    fn has_it(&self) -> Result<bool> {
        let Some(vif) = self.same() else { return Ok(false) };
        if vif.network_uuid.as_ref() != Some(self.network) {
            bail!("the VM has a NIC with the MAC address {} on another network, VIF {}", vif.mac, vif.uuid);
        }
        Ok(mark::nic_id(vif) == Some(self.nic.nic_id) && (vif.is_attached || !self.is_live))
    }

    /// A VIF that a killed action left is gone on with.
    fn attach(&self) -> Result<()> {
        let undo = Undo::new(self.xe);
        let (vif, is_attached) = match self.same() {
            Some(there) => (there.uuid.clone(), there.is_attached),
            None => (self.create(&undo)?, false),
        };
        let marks = mark::vif_marks(self.vm.vm_id, self.nic.nic_id);
        self.xe
            .run(&network::set_vif(&vif).set_all(marks).set_all(vif::params(self.nic, &self.vm.template)?))?;
        if self.is_live && !is_attached {
            undo.by(network::unplug_vif(&vif));
            hotplug::settle(self.xe, &network::plug_vif(&vif), "DEVICE_ALREADY_ATTACHED", || {
                Ok(Vif::of_vm(self.xe, self.uuid)?.iter().any(|now| now.uuid == vif && now.is_attached))
            })?;
        }
        undo.keep();
        Ok(())
    }

    fn create(&self, undo: &Undo<'_>) -> Result<Uuid> {
        let is_free = |device: &usize| self.vifs.iter().all(|vif| vif.device != device.to_string());
        let free: Vec<usize> = (0..VIF_DEVICES).filter(is_free).collect();
        let mut made = None;
        for device in free {
            let call = network::create_vif(self.uuid, self.network, device, &self.nic.mac);
            match self.xe.ask(&call) {
                // Somebody else has taken it meanwhile.
                Err(error) if failed_with(&error, &["DEVICE_ALREADY_EXISTS"]) => {}
                other => {
                    made = Some(other);
                    break;
                }
            }
        }
        let made: Result<Uuid> =
            made.with_context(|| format!("the VM has {VIF_DEVICES} NICs, the most that XAPI gives a VM"))?;
        if let Ok(vif) = &made {
            undo.by(network::destroy_vif(vif));
        } else {
            // It may be there although the call that made it never answered.
            let is_new = |vif: &&Vif| self.vifs.iter().all(|old| old.uuid != vif.uuid);
            let is_ours = |vif: &&Vif| vif.mac.eq_ignore_ascii_case(&self.nic.mac);
            let now = Vif::of_vm(self.xe, self.uuid).unwrap_or_default();
            let ours = now.iter().filter(is_new).filter(is_ours);
            ours.for_each(|vif| undo.by(network::destroy_vif(&vif.uuid)));
        }
        made
    }
}
