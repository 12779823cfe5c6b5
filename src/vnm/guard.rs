//! Keeps the flows of this host's bridges as the filters of its NICs say.
//!
//! What a NIC's filter is stands in its VIF's `other-config`, and a copy of it in a file of ours, so that a look costs no
//! `xe` call: XAPI is asked only of a VIF that has just come. Every look ends with the flows that are to be there, and
//! no other of ours; one that fails leaves those that were.

use super::flows::{self, Guarded, Other, Set};
use super::switch::{self, Bridge, Port};
use crate::file_lock::FileLock;
use crate::report::{self, Result};
use crate::state_dir::StateDir;
use crate::translate::filter::{Filter, KEY, NONE};
use crate::xe::Xe;
use anyhow::{Context, bail};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

const LOCK: &str = "switch.lock";
/// How long another call may take for its flows.
const WAIT: Duration = Duration::from_secs(120);

/// A VIF's file is called so, with its uuid behind it.
const FILE: &str = "filter-";

/// The texts of the filters, by the VIF's uuid.
type Texts = HashMap<String, String>;

/// The switch of this host, ours until this is dropped.
pub struct Guard {
    dir: StateDir,
    bridges: Vec<Bridge>,
    _lock: FileLock,
}

impl Guard {
    /// Waits for its turn. None where the host has no Open vSwitch.
    pub fn take() -> Result<Option<Guard>> {
        let dir = StateDir::open()?;
        let end = Instant::now() + WAIT;
        let lock = loop {
            if let Some(lock) = FileLock::try_take(&dir, LOCK)? {
                break lock;
            }
            if Instant::now() > end {
                bail!("another call has not finished its flows within {} s", WAIT.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        };
        Ok(switch::bridges().map(|bridges| Guard { dir, bridges, _lock: lock }))
    }

    /// The VIF of a running VM's NIC.
    pub fn vif_of(&self, vm: &str, mac: &str) -> Option<&str> {
        let is_it = |port: &&Port| port.vm_uuid.as_deref() == Some(vm) && port.mac.as_deref() == Some(mac);
        self.ports().find(is_it)?.vif_uuid.as_deref()
    }

    fn ports(&self) -> impl Iterator<Item = &Port> {
        self.bridges.iter().flat_map(|bridge| &bridge.ports)
    }

    /// Looks at the switch again: XAPI plugs a VIF anew whose lock changes.
    pub fn look_again(&mut self) -> Result<()> {
        self.bridges = switch::bridges().context("Open vSwitch does not answer any more")?;
        Ok(())
    }

    /// What the filter of a VIF is XAPI is asked next time: before it is changed there.
    pub fn forget(&self, vif: &str) {
        self.dir.remove(&format!("{FILE}{vif}"));
    }

    /// Notes what the filter of a VIF is from now on.
    pub fn note(&self, vif: &str, text: &str) -> Result<()> {
        self.dir.replace(&format!("{FILE}{vif}"), text)
    }

    /// Gives every bridge its flows.
    pub fn apply(&self, xe: &Xe) -> Result<()> {
        let filters = self.filters(xe)?;
        for bridge in &self.bridges {
            Difference::of(bridge, &filters)
                .and_then(|difference| difference.settle())
                .with_context(|| format!("bridge {}", bridge.name))?;
        }
        self.forget_gone();
        Ok(())
    }

    /// The bridges with flows of ours that no NIC of this host needs, and how many those are.
    pub fn leftovers(&self, xe: &Xe) -> Result<Vec<(String, usize)>> {
        let filters = self.filters(xe)?;
        let mut leftovers = Vec::new();
        for bridge in &self.bridges {
            let stale = Difference::of(bridge, &filters)?.stale;
            if !stale.is_empty() {
                leftovers.push((bridge.name.clone(), stale.iter().map(|(_, flows)| flows).sum()));
            }
        }
        Ok(leftovers)
    }

    /// The filters of this host's VIFs.
    fn filters(&self, xe: &Xe) -> Result<HashMap<String, Filter>> {
        let texts = self.texts(xe)?;
        let mut filters = HashMap::new();
        for (vif, text) in texts.iter().filter(|(_, text)| *text != NONE) {
            match Filter::parse(text) {
                Ok(filter) => _ = filters.insert(vif.clone(), filter),
                // XAPI's lock keeps it closed; other VMs' NICs do not wait for it.
                Err(why) => {
                    report::warn(format!("VIF {vif} stays closed: its {KEY} cannot be read: {why:#}"));
                }
            }
        }
        Ok(filters)
    }

    /// The text of every VIF's filter: what its file says, and of those without one XAPI.
    pub fn texts(&self, xe: &Xe) -> Result<Texts> {
        let mut texts = Texts::new();
        let mut unknown = Vec::new();
        for vif in self.ports().filter_map(|port| port.vif_uuid.as_deref()) {
            match self.dir.read(&format!("{FILE}{vif}"))? {
                Some(text) => _ = texts.insert(vif.to_owned(), text),
                None => unknown.push(vif.to_owned()),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(texts);
        }
        let marked = marked(xe, &unknown)?;
        for vif in unknown {
            // One that XAPI does not know is on its way in or out.
            let Some(text) = marked.get(&vif) else { continue };
            self.note(&vif, text)?;
            texts.insert(vif, text.clone());
        }
        Ok(texts)
    }

    /// Files of VIFs that are not on this host any more: where they come back, XAPI tells their filter.
    fn forget_gone(&self) {
        let is_here = |vif: &str| self.ports().any(|port| port.vif_uuid.as_deref() == Some(vif));
        for name in self.dir.names() {
            if name.strip_prefix(FILE).is_some_and(|vif| !is_here(vif)) {
                self.dir.remove(&name);
            }
        }
    }
}

/// How a bridge's flows differ from those that it is to have.
struct Difference<'a> {
    bridge: &'a str,
    /// Not there, or not all of it.
    missing: Vec<Set>,
    /// The cookies of flows that are not wanted any more, and how many have it.
    stale: Vec<(u64, usize)>,
}

impl Difference<'_> {
    fn of<'a>(bridge: &'a Bridge, filters: &HashMap<String, Filter>) -> Result<Difference<'a>> {
        let wanted = wanted(bridge, filters);
        let mut there = switch::cookies(&bridge.name)?;
        let mut missing = Vec::new();
        for set in wanted {
            if there.remove(&set.cookie) != Some(set.flows.len()) {
                missing.push(set);
            }
        }
        Ok(Difference { bridge: &bridge.name, missing, stale: there.into_iter().collect() })
    }

    fn settle(&self) -> Result<()> {
        if self.missing.is_empty() && self.stale.is_empty() {
            return Ok(());
        }
        let stale: Vec<u64> = self.stale.iter().map(|(cookie, _)| *cookie).collect();
        switch::change(self.bridge, &self.missing, &stale)
    }
}

/// What XAPI has noted of these VIFs, in one call.
fn marked(xe: &Xe, vifs: &[String]) -> Result<Texts> {
    let one = [("uuid", vifs.first().map_or("", String::as_str))];
    let filters = if vifs.len() == 1 { one.as_slice() } else { &[] };
    let listed = xe.list("vif", &["uuid", "other-config"], filters, |record| {
        let text = record.map_value("other-config", KEY).unwrap_or(NONE);
        Ok((record.text("uuid").to_owned(), text.to_owned()))
    })?;
    Ok(listed.into_iter().collect())
}

/// The flows that the bridge is to have.
fn wanted(bridge: &Bridge, filters: &HashMap<String, Filter>) -> Vec<Set> {
    let mut nics: Vec<Guarded<'_>> = Vec::new();
    let mut others = Vec::new();
    for port in &bridge.ports {
        let filter = port.vif_uuid.as_ref().and_then(|vif| filters.get(vif));
        let Some((filter, key)) = filter.zip(port.key()) else {
            others.push(Other { ofport: port.ofport, tag: port.tag });
            continue;
        };
        match nics.iter_mut().find(|nic| nic.key == key) {
            Some(nic) => nic.ofports.push(port.ofport),
            None => nics.push(Guarded {
                key,
                ofports: vec![port.ofport],
                tag: port.tag.unwrap_or_default(),
                filter,
            }),
        }
    }
    flows::of_bridge(&nics, &others)
}

/// Looks again and again whether the flows are there, for the monitoring client.
#[derive(Default)]
pub struct Watch {
    last: Option<Vec<Bridge>>,
    looks: u32,
}

/// So many looks pass before the flows themselves are counted where no port has come or gone.
const COUNTED_EVERY: u32 = 6;

impl Watch {
    /// Puts back what a restart of the switch, a reboot of a guest or a start outside OpenNebula has lost.
    pub fn look(&mut self, xe: &Xe) -> Result<()> {
        let Some(guard) = Guard::take()? else { return Ok(()) };
        let is_due = self.looks.is_multiple_of(COUNTED_EVERY);
        self.looks = self.looks.wrapping_add(1);
        if is_due || self.last.as_ref() != Some(&guard.bridges) {
            self.last = None;
            guard.apply(xe).context("cannot set the flows of security groups")?;
            self.last = Some(guard.bridges);
        }
        Ok(())
    }
}
