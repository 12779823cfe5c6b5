//! What `deploy` must know of the pool before it changes it.

use super::template::Template;
use crate::one::{Conf, Nic, Vm};
use crate::parallel;
use crate::report::Result;
use crate::xe::host::{self, Host};
use crate::xe::network::{self, Network};
use crate::xe::{Uuid, Xe, sr, vlan};
use anyhow::Context;

/// The host to start on, the SR for new disks, the network of each NIC.
pub struct Pool {
    pub host: Host,
    pub default_sr: Option<Uuid>,
    pub networks: Vec<Uuid>,
    /// What a new VM is installed from, or why not. One that is there already needs none.
    pub template: Result<Template>,
}

impl Pool {
    /// Asks all of it side by side.
    pub fn look_up(xe: &Xe, conf: &Conf, vm: &Vm, host_name: &str) -> Result<Pool> {
        let ((hosts, networks), (default_sr, template)) = parallel::both(
            || {
                parallel::both(
                    || Host::all(xe),
                    || if vm.nics.is_empty() { Ok(Vec::new()) } else { Network::all(xe) },
                )
            },
            || parallel::both(|| default_sr(xe, conf), || Template::look_up(xe, conf, vm)),
        );
        let networks = networks?;
        Ok(Pool {
            host: host::named(&hosts?, host_name)?.clone(),
            default_sr: default_sr?,
            template,
            networks: vm.nics.iter().map(|nic| network_of(xe, &networks, nic)).collect::<Result<_>>()?,
        })
    }

    /// The SR for disks that are made from image files.
    pub fn sr(&self) -> Result<&Uuid> {
        self.default_sr.as_ref().context(NO_SR)
    }
}

/// The network that BRIDGE names, or of a NIC with a VLAN_ID the one that carries this VLAN on it.
pub fn network_of(xe: &Xe, networks: &[Network], nic: &Nic) -> Result<Uuid> {
    let named = network::named(networks, &nic.bridge).with_context(|| format!("{}/BRIDGE", nic.path))?;
    match nic.vlan_id {
        Some(tag) => vlan::network_on(xe, named, tag).with_context(|| format!("{}/VLAN_ID", nic.path)),
        None => Ok(named.uuid.clone()),
    }
}

/// What to do where there is no SR for a disk that is made from a file.
pub const NO_SR: &str = "the pool has no default SR to put disks on: set one (xe pool-param-set uuid=… default-SR=…) or DEFAULT_SR in xcprc";

/// DEFAULT_SR, else the pool's.
pub fn default_sr(xe: &Xe, conf: &Conf) -> Result<Option<Uuid>> {
    match conf.optional("DEFAULT_SR") {
        Some(name) => sr::named(xe, name).map(Some).context("DEFAULT_SR"),
        None => sr::pool_default(xe),
    }
}
