//! What is told of the VMs, and what is kept of it for the next client of the host.

use super::Memory;
use super::known::Known;
use crate::probe::vm_status::line;
use crate::translate::vm_state::State;
use crate::xe::Uuid;
use std::fmt::Write;

impl Memory {
    /// The VMs whose state OpenNebula has not been told.
    pub fn changes(&self) -> String {
        let mut text = String::new();
        for (vm_id, known) in self.known.iter().filter(|(_, known)| !known.told) {
            line(&mut text, *vm_id, &known.deploy_id, known.state);
        }
        text
    }

    /// All of them. What is not in this list, OpenNebula takes for powered off; so it needs no line for a VM
    /// that is, and must have none for one that OpenNebula has forgotten since.
    pub fn all(&self) -> String {
        let mut text = "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned();
        for (vm_id, known) in &self.known {
            if known.state != State::Poweroff || !known.told {
                line(&mut text, *vm_id, &known.deploy_id, known.state);
            }
        }
        text
    }

    /// For the next client of this host: `VM_ID DEPLOY_ID STATE` of each that OpenNebula knows of.
    pub fn save(&self) -> String {
        let mut text = String::new();
        for (vm_id, known) in self.known.iter().filter(|(_, known)| known.told) {
            _ = writeln!(text, "{vm_id} {} {}", known.deploy_id, known.state.word());
        }
        text
    }

    /// Reads what [`Memory::save`] wrote; what is damaged is left out, and told once more.
    pub fn load(text: &str) -> Memory {
        let read = |line: &str| {
            let mut words = line.split(' ');
            let vm_id: u32 = words.next()?.parse().ok()?;
            let deploy_id: Uuid = words.next()?.parse().ok()?;
            let word = words.next()?;
            let state = State::ALL.into_iter().find(|state| state.word() == word)?;
            Some((vm_id, Known::new(deploy_id, state, true)))
        };
        Memory { known: text.lines().filter_map(read).collect() }
    }
}
