//! What OpenNebula tells the scripts of a backup on standard input: the VM's document (one_vmm_exec.rb `backup`).

use super::show;
use crate::one::{Element, input};
use crate::report::Result;
use anyhow::{Context, ensure};
use std::io::{IsTerminal, stdin};

const WHAT: &str = "the VM on standard input";

/// The VM, and what of it is wanted.
pub struct BackupRequest {
    /// The document itself: a backup keeps it.
    pub vm: String,
    /// The number that this increment gets, 0 being a full backup; none if every backup is one
    /// (BACKUPS/BACKUP_CONFIG/MODE, LAST_INCREMENT_ID).
    pub increment: Option<u32>,
}

impl BackupRequest {
    /// Reads it; by hand, without one, OpenNebula is asked.
    pub fn read(vm_id: u32) -> Result<BackupRequest> {
        let sent = if stdin().is_terminal() { None } else { input::read_optional(WHAT, stdin().lock())? };
        BackupRequest::parse(match sent {
            Some(text) => text,
            None => show::vm(vm_id)?.xml().to_owned(),
        })
    }

    fn parse(text: String) -> Result<BackupRequest> {
        let root = Element::parse(WHAT, &text)?;
        let config = root.all("BACKUPS").next().and_then(|backups| backups.all("BACKUP_CONFIG").next());
        let mut increment = None;
        if let Some(config) = config {
            ensure!(
                !config.is_yes("INTERACTIVE"),
                "interactive backups need KVM: set INTERACTIVE=NO in the VM's BACKUP_CONFIG"
            );
            if config.text("MODE").eq_ignore_ascii_case("INCREMENT") {
                let last: i64 = config.get("LAST_INCREMENT_ID")?.unwrap_or(-1);
                increment = Some(u32::try_from(last + 1).context("LAST_INCREMENT_ID")?);
            }
        }
        Ok(BackupRequest { vm: text, increment })
    }
}

#[cfg(test)]
mod tests {
    use super::BackupRequest;

    fn increment(config: &str) -> anyhow::Result<Option<u32>> {
        let text = format!("<VM><ID>2</ID><BACKUPS><BACKUP_CONFIG>{config}</BACKUP_CONFIG></BACKUPS></VM>");
        BackupRequest::parse(text).map(|request| request.increment)
    }

    #[test]
    fn an_increment_has_the_number_after_the_last_one() {
        let config = |last: &str| {
            format!(
                "<MODE><![CDATA[INCREMENT]]></MODE><LAST_INCREMENT_ID><![CDATA[{last}]]></LAST_INCREMENT_ID>"
            )
        };
        assert_eq!(increment(&config("-1")).unwrap(), Some(0));
        assert_eq!(increment(&config("4")).unwrap(), Some(5));
        assert_eq!(increment("<MODE>FULL</MODE><LAST_INCREMENT_ID>4</LAST_INCREMENT_ID>").unwrap(), None);
        assert_eq!(BackupRequest::parse("<VM/>".to_owned()).unwrap().increment, None);
        assert!(increment("<INTERACTIVE>YES</INTERACTIVE>").is_err());
    }
}
