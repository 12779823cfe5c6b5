//! What becomes of a leftover of the storage scripts.

use super::{Search, names};
use crate::admin::gc::{End, Judge};
use crate::admin::text;
use crate::lock::VmLock;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::Uuid;
use crate::xe::vdi::{self, Vdi};
use anyhow::{bail, ensure};

/// What is to become of a leftover.
#[derive(Clone, PartialEq, Eq)]
pub enum Remedy {
    Destroy,
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
    /// The mark of the killed `save` that took it, if one did.
    pub write_back: Option<String>,
    pub why: &'static str,
    pub remedy: Remedy,
}

impl Leftover {
    /// What becomes of it.
    pub fn settle(&self, judge: &Judge<'_>, yes: bool) -> End {
        match &self.remedy {
            Remedy::Advice(advice) => End::Kept(advice.clone()),
            _ if !yes => End::WouldBeRemoved,
            _ => match self.remedied(judge) {
                Ok(()) => End::Removed,
                Err(why) => End::Failed(report::one_line(&format!("{why:#}"))),
            },
        }
    }

    /// Looks at it and at what it is judged by once more, and does what is due.
    fn remedied(&self, judge: &Judge<'_>) -> Result<()> {
        let (xe, uuid) = (judge.xe, self.vdi.uuid.to_string());
        let _lock = match self.vm_id {
            Some(vm_id) => match VmLock::try_take(vm_id)? {
                Some(lock) => Some(lock),
                None => bail!("an action is at work on VM {vm_id}"),
            },
            None => None,
        };
        let mut filters = vec![("uuid", uuid.as_str()), ("name-label", self.name.as_str())];
        let marks = self.marks();
        filters.extend(marks.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let is_it = xe.list("vdi", &["uuid"], &filters, |record| record.get::<Uuid>("uuid"))?
            == [self.vdi.uuid.clone()];
        let (vdis, names) = (Vdi::all(xe)?, names(xe)?);
        let now = vdis.iter().find(|vdi| vdi.uuid == self.vdi.uuid);
        let search = Search { judge, vdis: &vdis, names: &names, images: None, locked: self.vm_id };
        let again = now.and_then(|vdi| search.judged(vdi));
        let is_same = again.is_some_and(|again| again.remedy == self.remedy && again.vdi.allows("destroy"));
        ensure!(is_it && is_same, "it is not what it was a moment ago, or is being worked on");
        let call = match &self.remedy {
            Remedy::Rename(name) => vdi::rename(&self.vdi.uuid, name),
            _ => vdi::destroy(&self.vdi.uuid),
        };
        xe.run(&call).map(drop)
    }

    /// Of a snapshot, what tells it from one that somebody has taken.
    fn marks(&self) -> Option<(String, String)> {
        let marked = match &self.write_back {
            Some(attempt) => (mark::WRITE_BACK_ATTEMPT, attempt.clone()),
            None => (mark::INCREMENT_OF, self.vm_id?.to_string()),
        };
        self.vdi.is_a_snapshot.then(|| (format!("other-config:{}", marked.0), marked.1))
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
