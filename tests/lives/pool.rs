//! The simulated pool as it is, read from its state file: asking `xe` would cost a program's start each time.

use crate::common::Host;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// An object: its class as XAPI names it, its uuid, and what is set of it. Entries of maps are `field:key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub class: String,
    pub uuid: String,
    pub fields: BTreeMap<String, String>,
}

impl Row {
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// All objects of a moment.
pub struct Pool {
    pub rows: Vec<Row>,
    bytes: PathBuf,
}

impl Pool {
    pub fn read(host: &Host) -> Pool {
        let text = fs::read_to_string(host.path("pool")).unwrap();
        Pool { rows: text.lines().skip(1).map(row).collect(), bytes: host.path("pool.vdi") }
    }

    pub fn of_class<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.class == class)
    }

    pub fn find(&self, uuid: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.uuid == uuid)
    }

    /// The records of OpenNebula's VM: VMs that carry its number and their own uuid; no snapshots.
    pub fn records(&self, vm_id: u32) -> Vec<&Row> {
        let vm_id = vm_id.to_string();
        let is_its = |row: &&Row| {
            row.get("other-config:one_vm_id") == vm_id
                && row.get("other-config:one_vm_uuid") == row.uuid
                && row.get("is-a-snapshot") != "true"
        };
        self.of_class("VM").filter(is_its).collect()
    }

    /// The VDI in a VM's device.
    pub fn vdi_in(&self, vm: &str, device: &str) -> Option<String> {
        let mut vbds = self.of_class("VBD");
        let vbd = vbds.find(|vbd| vbd.get("vm-uuid") == vm && vbd.get("userdevice") == device)?;
        Some(vbd.get("vdi-uuid").to_owned()).filter(|vdi| !vdi.is_empty())
    }

    /// What a VDI holds, up to its last byte that was ever written.
    pub fn bytes(&self, vdi: &str) -> Vec<u8> {
        fs::read(self.file(vdi)).unwrap_or_default()
    }

    pub fn file(&self, vdi: &str) -> PathBuf {
        self.bytes.join(vdi)
    }
}

/// Where a VM is: its power state.
pub fn power_state(vm: &Row) -> &str {
    match vm.get("power-state") {
        "" => "halted",
        state => state,
    }
}

fn row(line: &str) -> Row {
    let mut parts = line.split('\t').map(str::to_owned);
    let (class, uuid) = (parts.next().unwrap(), parts.next().unwrap());
    let fields = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap();
        (plain(name), plain(value))
    });
    Row { class, uuid, fields: fields.collect() }
}

fn plain(text: &str) -> String {
    let mut letters = text.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('e') => '=',
                other => other.unwrap_or('\\'),
            },
            _ => letter,
        });
    }
    plain
}
