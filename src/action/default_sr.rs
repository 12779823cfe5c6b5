//! The SR for disks that are made from files: DEFAULT_SR, else the pool's, of those that the VM's host sees.
//!
//! XCP-ng installs each host with a `Local storage` of its own, and makes one of them the pool's default: that one serves
//! one host only.

use crate::one::Conf;
use crate::parallel;
use crate::report::{self, Result};
use crate::xe::{Record, Uuid, Xe, sr};
use anyhow::{Context, bail, ensure};

/// What to do where there is no SR for a disk that is made from a file.
const NO_SR: &str = "the pool has no default SR to put disks on: set one (xe pool-param-set uuid=… default-SR=…) or DEFAULT_SR in xcprc";

/// The SRs that may be meant, and where they are.
pub struct DefaultSr {
    candidates: Vec<Uuid>,
    /// DEFAULT_SR; none: it is the pool's.
    setting: Option<String>,
    /// SR and host of each PBD that is plugged.
    plugged: Vec<(Uuid, Uuid)>,
}

impl DefaultSr {
    /// Asks for them side by side.
    pub fn look_up(xe: &Xe, conf: &Conf) -> Result<DefaultSr> {
        let setting = conf.optional("DEFAULT_SR").map(str::to_owned);
        let (candidates, plugged) = parallel::both(
            || match &setting {
                Some(name) => sr::all_named(xe, name).context("DEFAULT_SR"),
                None => Ok(sr::pool_default(xe)?.into_iter().collect()),
            },
            || plugged(xe),
        );
        Ok(DefaultSr { candidates: candidates?, setting, plugged: plugged? })
    }

    /// The one for a VM on this host; none: for a VM that is off.
    ///
    /// # Errors
    /// There is none, several are meant, or the host sees none: said before anything is copied.
    pub fn on(&self, xe: &Xe, host: Option<&Uuid>) -> Result<Uuid> {
        let is_seen = |sr: &&Uuid| host.is_none_or(|host| self.sees(host, sr));
        let seen: Vec<&Uuid> = self.candidates.iter().filter(is_seen).collect();
        match (seen.as_slice(), &self.setting, host) {
            ([sr], _, _) => Ok((*sr).clone()),
            ([], None, _) if self.candidates.is_empty() => bail!(NO_SR),
            ([], None, Some(host)) => self.namesake(xe, host),
            ([], Some(name), _) => {
                bail!("the VM's host does not see the SR {name:?} (DEFAULT_SR): {}", self.advice())
            }
            (several, Some(name), _) => {
                bail!("DEFAULT_SR: {} SRs have the name-label {name:?}; name it by its uuid", several.len())
            }
            _ => bail!(NO_SR),
        }
    }

    fn sees(&self, host: &Uuid, sr: &Uuid) -> bool {
        self.plugged.iter().any(|(plugged, on)| plugged == sr && on == host)
    }

    /// The pool's default is another host's: the host's own of the same name.
    fn namesake(&self, xe: &Xe, host: &Uuid) -> Result<Uuid> {
        let default = self.candidates.first().context(NO_SR)?;
        let name = sr::name_of(xe, default)?;
        let named = sr::all_named(xe, &name)?;
        let seen: Vec<&Uuid> = named.iter().filter(|sr| self.sees(host, sr)).collect();
        ensure!(
            seen.len() == 1,
            "the VM's host does not see the pool's default SR {name:?} ({default}), and has no other of that name: {}",
            self.advice()
        );
        let own = seen.first().copied().context(NO_SR)?;
        report::info(format!(
            "the pool's default SR is not plugged on the host: its own {name:?}, {own}, is taken"
        ));
        Ok(own.clone())
    }

    fn advice(&self) -> String {
        let srs: Vec<String> = self.candidates.iter().map(Uuid::to_string).collect();
        format!("plug it there (xe pbd-list sr-uuid={}), or name another in DEFAULT_SR", srs.join(","))
    }
}

fn plugged(xe: &Xe) -> Result<Vec<(Uuid, Uuid)>> {
    let read = |record: &Record<'_>| Ok((record.get("sr-uuid")?, record.get("host-uuid")?));
    xe.list("pbd", &["uuid", "host-uuid", "sr-uuid"], &[("currently-attached", "true")], read)
}
