//! What the scripts around a live migration share: the VM's folder goes with the VM, and the transfer managers of
//! its other disks are told.

use super::Call;
use super::place::Place;
use crate::one::{Element, input};
use crate::process;
use crate::report::{self, Result};
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::io::{Seek, Write, stdin};
use std::process::Command;

/// A migration from one host's folder to another's.
pub struct Migration {
    pub from: Place,
    pub to: Place,
    vm: String,
}

impl Migration {
    /// Reads `SRC_HOST DST_HOST PATH VM_ID DS_ID` and the VM on standard input. None if there is nothing to do: the
    /// hosts are one, or another transfer manager, the one of the system datastore, is already at it.
    pub fn read(call: &Call) -> Result<Option<Migration>> {
        let (from, to): (String, String) = (call.word(0, "the source")?, call.word(1, "the destination")?);
        if call.words.len() > 5 || from == to {
            return Ok(None);
        }
        let path: String = call.word(2, "the VM's folder")?;
        let vm = input::read("the VM", stdin().lock())?;
        let place = |host: &str| format!("{host}:{path}").parse();
        Ok(Some(Migration { from: place(&from)?, to: place(&to)?, vm }))
    }

    /// Calls the same script of the other transfer managers, as OpenNebula's own do (tm_common.sh `migrate_other`).
    pub fn tell_others(&self, call: &Call, script: &str) -> Result<()> {
        let vm = Element::parse("the VM", &self.vm)?;
        let disks = vm.child("TEMPLATE")?.all("DISK");
        let others: BTreeSet<&str> =
            disks.map(|disk| disk.text("TM_MAD")).filter(|tm| *tm != "xcp").collect();
        for tm in others {
            let is_a_name =
                !tm.is_empty() && tm.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            let Some(file) = call.beside(tm, script).filter(|_| is_a_name) else { continue };
            let mut message = tempfile::tempfile()?;
            message.write_all(STANDARD.encode(&self.vm).as_bytes())?;
            message.rewind()?;
            let mut command = Command::new(&file);
            let limit = call.conf.seconds("XE_TRANSFER_TIMEOUT", 14_400)?;
            let said = process::output_from(command.args(call.words).arg("xcp"), message.into(), limit, None)
                .with_context(|| file.display().to_string())?;
            let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
            ensure!(said.status.success(), "{}: {complaint}", file.display());
        }
        Ok(())
    }
}
