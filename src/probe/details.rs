//! What is told of VMs and seldom changes: their guests' addresses and how large their disks are.

use super::disk_sizes::{self, DiskSize};
use super::guest_addresses;
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
    turns: Turns,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turns {
    /// All of it every time: by hand.
    #[default]
    None,
    Addresses,
    Disks,
}

impl Details {
    /// For a client: addresses in one round and disks in the next, so that a round takes three calls at most.
    pub fn in_turns() -> Details {
        Details { turns: Turns::Addresses, ..Details::default() }
    }

    /// Asks for what it is the turn of. `filters` is what `listed` were just listed with.
    pub fn refresh(&mut self, xe: &Xe, filters: &[(&str, &str)], listed: &[Uuid]) -> Result<()> {
        let turn = self.turns;
        self.turns = match turn {
            Turns::None => Turns::None,
            Turns::Addresses => Turns::Disks,
            Turns::Disks => Turns::Addresses,
        };
        if turn != Turns::Disks
            && let Some(networks) = free_text::of_vms(xe, "networks", filters, listed)?
        {
            self.addresses =
                networks.into_iter().map(|(vm, networks)| (vm, guest_addresses::read(&networks))).collect();
        }
        if turn != Turns::Addresses && !listed.is_empty() {
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
