//! What becomes of a leftover of the storage scripts.

use super::{Search, names};
use crate::admin::gc::leftover::Precious;
use crate::admin::gc::remove::Remover;
use crate::admin::gc::{End, Judge};
use crate::admin::text;
use crate::lock::VmLock;
use crate::report::Result;
use crate::xe::Uuid;
use crate::xe::vdi::{self, Vdi};
use anyhow::{bail, ensure};

/// What is to become of a leftover.
#[derive(Clone, PartialEq, Eq)]
pub enum Remedy {
    Destroy,
    /// Somebody may want what is in it: written to a file before it goes.
    Save {
        vm_id: u32,
        disk_id: u32,
        advice: String,
    },
    /// It has taken another's place, and only its name is left to be said.
    Rename(String),
    /// Left to a person: what to do.
    Advice(String),
}

/// A VDI that nobody wants, or that is not yet what it was to become.
pub struct Leftover {
    pub vdi: Vdi,
    pub name: String,
    /// The VM that it was made for, if one was.
    pub vm_id: Option<u32>,
    /// Of a snapshot, the mark that tells it from one that somebody has taken.
    pub mark: Option<(&'static str, String)>,
    pub why: &'static str,
    pub remedy: Remedy,
}

impl Remedy {
    /// Whether the same is to be done, for whatever reason.
    fn is_as(&self, other: &Remedy) -> bool {
        match (self, other) {
            (Remedy::Save { vm_id, disk_id, .. }, Remedy::Save { vm_id: of_vm, disk_id: of_disk, .. }) => {
                (vm_id, disk_id) == (of_vm, of_disk)
            }
            (one, other) => one == other,
        }
    }
}

impl Leftover {
    /// What becomes of it.
    pub fn settle(&self, judge: &Judge<'_>, remover: &Remover<'_>, yes: bool) -> End {
        match &self.remedy {
            Remedy::Advice(advice) => End::Kept(advice.clone()),
            Remedy::Save { advice, .. } if remover.save_to.is_none() => {
                End::Kept(format!("--save-to DIR writes it to a file and removes it; {advice}"))
            }
            _ if !yes => End::WouldBeRemoved,
            _ => match self.remedied(judge, remover) {
                Ok(()) => End::Removed,
                Err(why) => End::failed(&why),
            },
        }
    }

    /// Looks at it and at what it is judged by once more, and does what is due.
    fn remedied(&self, judge: &Judge<'_>, remover: &Remover<'_>) -> Result<()> {
        let (xe, uuid) = (judge.xe, self.vdi.uuid.to_string());
        let _lock = match self.vm_id {
            Some(vm_id) => match VmLock::try_take(vm_id)? {
                Some(lock) => Some(lock),
                None => bail!("an action is at work on VM {vm_id}"),
            },
            None => None,
        };
        let mut filters = vec![("uuid", uuid.as_str()), ("name-label", self.name.as_str())];
        let mark = self.mark.as_ref().map(|(key, value)| (format!("other-config:{key}"), value));
        filters.extend(mark.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let is_it = xe.list("vdi", &["uuid"], &filters, |record| record.get::<Uuid>("uuid"))?
            == [self.vdi.uuid.clone()];
        let (vdis, names) = (Vdi::all(xe)?, names(xe)?);
        let now = vdis.iter().find(|vdi| vdi.uuid == self.vdi.uuid);
        let search = Search { judge, vdis: &vdis, names: &names, images: None, locked: self.vm_id };
        let again = now.and_then(|vdi| search.judged(vdi));
        let is_same =
            again.is_some_and(|again| again.remedy.is_as(&self.remedy) && again.vdi.allows("destroy"));
        ensure!(is_it && is_same, "it is not what it was a moment ago, or is being worked on");
        if let Remedy::Save { vm_id, disk_id, .. } = &self.remedy {
            let (vdi, reason) = (self.vdi.uuid.clone(), String::new());
            remover.save(*vm_id, &Precious { vdi, disk_id: *disk_id, reason })?;
        }
        let call = match &self.remedy {
            Remedy::Rename(name) => vdi::rename(&self.vdi.uuid, name),
            _ => vdi::destroy(&self.vdi.uuid),
        };
        xe.run(&call).map(drop)
    }

    /// A line for people, or JSON.
    pub fn show(&self, end: &End, json: bool) -> String {
        let (word, more) = match (&self.remedy, end) {
            (Remedy::Rename(_), End::WouldBeRemoved) => ("leftover", "--yes gives it its name"),
            (Remedy::Rename(_), End::Removed) => ("renamed", ""),
            _ => end.words(),
        };
        let uuid = self.vdi.uuid.to_string();
        if json {
            return text::object(&[
                ("is", text::string(word)),
                ("kind", text::string("VDI")),
                ("uuid", text::string(&uuid)),
                ("vm_id", self.vm_id.map_or("null".to_owned(), |vm_id| vm_id.to_string())),
                ("why", text::string(self.why)),
                ("more", text::string(more)),
            ]);
        }
        let more = if more.is_empty() { String::new() } else { format!("; {more}") };
        format!("{word:<8} VDI {uuid}, {}: {}{more}", self.name, self.why)
    }
}
