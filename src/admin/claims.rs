//! Which VMs OpenNebula has, as an administrator tells by hand: the drivers never ask OpenNebula.

use crate::one::{Element, input};
use crate::report::Result;
use anyhow::{Context, bail, ensure};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::stdin;
use std::path::Path;

/// OpenNebula's state of a VM that is terminated (VirtualMachine.h).
const DONE: u32 = 6;

/// OpenNebula's VMs.
#[derive(Debug, Default)]
pub struct Claims {
    ids: BTreeSet<u32>,
    highest_id: u32,
}

/// Whether OpenNebula has a VM of some number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Claimed,
    Unclaimed,
    /// Nobody said, or it may be younger than the list.
    Unknown,
}

impl Claims {
    /// Reads `onevm list -x`, or VM ids; `-` is standard input.
    pub fn load(file: &Path) -> Result<Claims> {
        const WHAT: &str = "the list of OpenNebula's VMs";
        let bytes = if file == Path::new("-") {
            read_all(stdin().lock())
        } else {
            read_all(File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
        };
        let bytes = bytes.with_context(|| format!("cannot read {WHAT}"))?;
        let claims = if bytes.trim_ascii_start().starts_with(b"<") {
            Claims::of_xml(&Element::parse(WHAT, &input::decode(WHAT, bytes)?)?)?
        } else {
            Claims::of_ids(&String::from_utf8_lossy(&bytes))?
        };
        // Taken at its word it would make leftovers of all VMs; more likely its command failed.
        ensure!(!claims.ids.is_empty(), "{WHAT} names none");
        Ok(claims)
    }

    /// `<VM_POOL>`, or the `<VM>` of `onevm show -x`.
    fn of_xml(root: &Element) -> Result<Claims> {
        let vms: Vec<&Element> = match root.name() {
            "VM_POOL" => root.all("VM").collect(),
            "VM" => vec![root],
            other => bail!("the list of OpenNebula's VMs is a {other}, not the VM_POOL of onevm list -x"),
        };
        let mut claims = Claims::default();
        for vm in vms {
            let id: u32 = vm.need("ID")?;
            claims.add(id, vm.get("STATE")? != Some(DONE));
        }
        Ok(claims)
    }

    /// Numbers with blanks, commas or line breaks between them.
    fn of_ids(text: &str) -> Result<Claims> {
        let mut claims = Claims::default();
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            let start: String = word.chars().take(40).collect();
            let id = word.parse();
            let id = id.with_context(|| format!("the list of OpenNebula's VMs has {start:?} for a VM id"))?;
            claims.add(id, true);
        }
        Ok(claims)
    }

    /// OpenNebula has given this number to a VM, which may be terminated.
    pub fn has_been(&mut self, id: u32) {
        self.add(id, false);
    }

    fn add(&mut self, id: u32, is_there: bool) {
        self.highest_id = self.highest_id.max(id);
        if is_there {
            self.ids.insert(id);
        }
    }

    pub fn of(&self, vm_id: u32) -> Claim {
        if self.ids.contains(&vm_id) {
            Claim::Claimed
        } else if vm_id > self.highest_id {
            Claim::Unknown
        } else {
            Claim::Unclaimed
        }
    }
}

fn read_all(mut from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_done_vm_claims_nothing_and_a_later_one_is_not_judged() {
        let xml = "<VM_POOL><VM><ID>3</ID><STATE>3</STATE></VM><VM><ID>5</ID><STATE>6</STATE></VM></VM_POOL>";
        let claims = Claims::of_xml(&Element::parse("x", xml).unwrap()).unwrap();
        let judged = [3, 4, 5, 6].map(|id| claims.of(id));
        assert_eq!(judged, [Claim::Claimed, Claim::Unclaimed, Claim::Unclaimed, Claim::Unknown]);
    }

    #[test]
    fn ids_come_in_any_layout_and_other_words_are_refused() {
        let claims = Claims::of_ids("1, 2\n 7\n").unwrap();
        assert_eq!((claims.of(7), claims.of(6)), (Claim::Claimed, Claim::Unclaimed));
        assert!(Claims::of_ids("1 one-2").is_err());
    }
}
