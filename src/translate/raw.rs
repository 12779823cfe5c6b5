//! RAW TYPE=xcp → parameters that go to XAPI as they are.

use super::dom0;
use crate::one::Vm;
use crate::report::Result;
use anyhow::{Context, ensure};

/// Maps of which any key may be set.
const MAPS: [&str; 4] = ["platform:", "HVM-boot-params:", "VCPUs-params:", "xenstore-data:vm-data/"];

/// Whole parameters. What this driver keeps its own marks in (`other-config`), what moves or unlocks a VM
/// (`affinity`, `blocked-operations`, `is-a-template`), and what OpenNebula itself decides is not among them.
const PARAMS: [&str; 9] = [
    "HVM-shadow-multiplier",
    "PV-args",
    "PV-bootloader",
    "PV-bootloader-args",
    "PV-legacy-args",
    "actions-after-crash",
    "actions-after-reboot",
    "hardware-platform-version",
    "has-vendor-device",
];

/// One `key=value` for each word or line of DATA. A value with blanks takes a line of its own.
pub fn params(vm: &Vm) -> Result<Vec<(String, String)>> {
    let raw = vm.template.all("RAW").filter(|raw| raw.text("TYPE").eq_ignore_ascii_case("xcp"));
    let mut params = Vec::new();
    for section in raw {
        for line in section.text("DATA").lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let all_pairs = words.iter().all(|word| word.contains('='));
            for pair in if all_pairs { words } else { vec![line] } {
                params.push(parameter(pair)?);
            }
        }
    }
    Ok(params)
}

fn parameter(pair: &str) -> Result<(String, String)> {
    let (key, value) =
        pair.split_once('=').with_context(|| format!("VM/TEMPLATE/RAW/DATA: {pair:?} is not key=value"))?;
    let key = key.trim();
    let is_in_map = MAPS.iter().any(|map| key.strip_prefix(map).is_some_and(|key| !key.is_empty()));
    ensure!(
        is_in_map || PARAMS.contains(&key),
        "VM/TEMPLATE/RAW/DATA: {key:?} may not be set; what may is {}KEY and {}",
        MAPS.join("KEY, "),
        PARAMS.join(", ")
    );
    dom0::check(&format!("VM/TEMPLATE/RAW/DATA: {key}"), key, value.trim())?;
    Ok((key.to_owned(), value.trim().to_owned()))
}
