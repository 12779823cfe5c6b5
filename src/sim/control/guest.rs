//! `one-xcp sim guest`: what a guest does by itself.

use crate::sim::row::{Class, Row};
use crate::sim::store::Store;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

/// What the guest in a VM is to do.
#[derive(Args)]
pub struct Guest {
    /// The VM: uuid or name-label.
    vm: String,
    /// Whether it has PV drivers: `tools=yes`, `tools=no`, `tools=hang` (it never shuts down); its first
    /// address: `ip=192.0.2.1`; whether its agent runs scripts: `scripts=yes`.
    #[arg(required = true, value_name = "tools=…|ip=…|scripts=…")]
    settings: Vec<String>,
}

/// Words of `tools=`.
#[derive(Clone, Copy, ValueEnum)]
enum Tools {
    Yes,
    No,
    Hang,
}

impl Guest {
    /// Does so.
    pub fn apply(&self, store: &Store) -> Result<()> {
        store.change(|pool| {
            let found = pool.rows(Class::Vm).iter();
            let mut found = found.filter(|vm| vm.uuid == self.vm || vm.get("name-label") == self.vm);
            let uuid = match (found.next(), found.next()) {
                (Some(vm), None) => vm.uuid.to_string(),
                (None, _) => return (Err(anyhow::anyhow!("there is no VM {}", self.vm)), false),
                _ => return (Err(anyhow::anyhow!("there are several VMs named {}", self.vm)), false),
            };
            let now = pool.now();
            let Ok(row) = pool.edit(Class::Vm, &uuid) else { return (Ok(()), false) };
            let set = self.settings.iter().try_for_each(|setting| set(row, setting, &now));
            let done = set.is_ok();
            (set, done)
        })?
    }
}

fn set(row: &mut Row, setting: &str, now: &str) -> Result<()> {
    match setting.split_once('=') {
        Some(("scripts", word @ ("yes" | "no"))) => {
            row.set("sim-scripts", if word == "yes" { "true" } else { "" });
        }
        Some(("ip", address)) => row.set("sim-guest-ip", address.to_owned()),
        Some(("tools", word)) => {
            let tools = Tools::from_str(word, false).map_err(anyhow::Error::msg)?;
            let (kept, guest) = match tools {
                Tools::Yes => ("yes", "tools"),
                Tools::No => ("no", "bare"),
                Tools::Hang => ("hang", "tools"),
            };
            row.set("sim-tools", kept);
            if ["running", "paused"].contains(&row.get("power-state")) {
                row.set("sim-guest", guest);
                row.set("sim-guest-updated", now.to_owned());
            }
        }
        _ => bail!("{setting} is none of tools=…, scripts=yes, scripts=no, ip=…"),
    }
    Ok(())
}
