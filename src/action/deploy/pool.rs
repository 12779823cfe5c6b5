//! What `deploy` must know of the pool before it changes it.

use super::template::Template;
use crate::action::default_sr::DefaultSr;
use crate::action::nic_network;
use crate::one::{Conf, Vm};
use crate::parallel;
use crate::report::Result;
use crate::xe::host::{self, Host};
use crate::xe::network::Network;
use crate::xe::{Uuid, Xe};
use anyhow::anyhow;

/// The host to start on, the SR for new disks, the network of each NIC.
pub struct Pool {
    pub host: Host,
    sr: Result<Uuid>,
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
            || parallel::both(|| DefaultSr::look_up(xe, conf), || Template::look_up(xe, conf, vm)),
        );
        let networks = networks?;
        let host = host::named(&hosts?, host_name)?.clone();
        Ok(Pool {
            sr: default_sr?.on(xe, Some(&host.uuid)),
            host,
            template,
            networks: vm.nics.iter().map(|nic| nic_network::of(xe, &networks, nic)).collect::<Result<_>>()?,
        })
    }

    /// The SR for disks that are made from image files.
    pub fn sr(&self) -> Result<&Uuid> {
        self.sr.as_ref().map_err(|why| anyhow!("{why:#}"))
    }
}
