//! What is told of VMs and seldom changes: their guests' addresses and how large their disks are.

use super::cpu_asked::CpuAsked;
use super::disk_sizes::{self, DiskSize};
use super::guest_addresses;
use super::turns::{Turn, Turns};
use super::unix_time;
use crate::report::Result;
use crate::xe::{Uuid, Xe, free_text};
use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;

/// What was learnt last.
#[derive(Debug, Default)]
pub struct Details {
    addresses: HashMap<Uuid, Vec<IpAddr>>,
    disks: HashMap<Uuid, Vec<DiskSize>>,
    pub(super) cpu_asked: CpuAsked,
    /// By hand there are none: all of it is asked every time.
    turns: Option<Turns>,
}

impl Details {
    /// For a client: addresses in one round and disks in the next, so that a round takes three calls at most.
    pub fn in_turns(turns: Turns) -> Details {
        Details { turns: Some(turns), ..Details::default() }
    }

    /// Asks for what it is the turn of. `filters` is what `listed` were just listed with.
    pub fn refresh(&mut self, xe: &Xe, filters: &[(&str, &str)], listed: &[Uuid]) -> Result<()> {
        let turn = self.turns.as_mut().map(|turns| turns.next(unix_time()));
        if turn != Some(Turn::Disks)
            && let Some(networks) = free_text::of_vms(xe, "networks", filters, listed)?
        {
            self.addresses =
                networks.into_iter().map(|(vm, networks)| (vm, guest_addresses::read(&networks))).collect();
        }
        if turn != Some(Turn::Addresses) && !listed.is_empty() {
            self.disks = disk_sizes::all(xe)?;
        }
        Ok(())
    }

    /// Adds what is known of a VM, as OpenNebula's probes of KVM write it.
    pub fn write(&self, text: &mut String, vm: &Uuid) {
        let addresses = self.addresses.get(vm).map(Vec::as_slice).unwrap_or_default();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        if let Some(first) = first {
            let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            _ = writeln!(text, "GUEST_IP=\"{first}\"\nGUEST_IP_ADDRESSES=\"{}\"", all.join(","));
        }
        for DiskSize { disk_id, size_mb } in self.disks.get(vm).map(Vec::as_slice).unwrap_or_default() {
            _ = writeln!(text, "DISK_SIZE=[ID={disk_id},SIZE={size_mb}]");
        }
    }
}
