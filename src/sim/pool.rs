//! The simulated pool in memory: tables of rows, its counters, and the questions verbs ask of it.

use super::refuse::{Fail, Outcome, Param, refused};
use super::row::{Class, Row};
use super::sequence::{nth_uuid, timestamp};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

/// Rows of one class that hold a uuid in one attribute: position of the rows, by that uuid.
type Index = HashMap<String, Vec<usize>>;

/// A change of what VDIs hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// The second VDI becomes a copy of the first.
    Copy(String, String),
    /// The VDI's bytes go, and its log of changed blocks stays.
    Empty(String),
    /// All that is kept of the VDI goes.
    Delete(String),
    /// From now on what is changed in the VDI is told.
    Track(String),
    /// It is told no longer.
    Untrack(String),
    /// What has been changed in the first VDI becomes the log of the second, its snapshot.
    Log(String, String),
    /// The first VDI's log is added to that of the second.
    Merge(String, String),
}

/// The whole pool. Tables are sorted by uuid, so that lists have a stable order that says nothing.
#[derive(Debug, Default)]
pub struct Pool {
    tables: HashMap<Class, Vec<Row>>,
    /// How many uuids have been given out: the next one follows from it.
    pub counter: u64,
    /// Seconds that have passed in the pool; each call that changes something takes one.
    pub clock: u64,
    /// What `xe -s` must give as the password of `root`.
    pub password: String,
    /// No guest has PV drivers, unless told otherwise.
    pub no_tools: bool,
    /// What is to be done to the bytes of VDIs once the call is known to succeed.
    pub bytes: Vec<Bytes>,
    /// Where the bytes of VDIs are.
    pub folder: PathBuf,
    changed: bool,
    index: RefCell<HashMap<(Class, &'static str), Index>>,
}

impl Pool {
    /// Rows of a class, by uuid.
    pub fn rows(&self, class: Class) -> &[Row] {
        self.tables.get(&class).map_or(&[], Vec::as_slice)
    }

    /// The rows of a class as the state file gives them, sorted here.
    pub fn load(&mut self, class: Class, mut rows: Vec<Row>) {
        rows.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        self.tables.insert(class, rows);
    }

    fn at(&self, class: Class, uuid: &str) -> Result<usize, usize> {
        self.rows(class).binary_search_by(|row| row.uuid.as_ref().cmp(uuid))
    }

    /// The object, if there is one.
    pub fn find(&self, class: Class, uuid: &str) -> Option<&Row> {
        self.at(class, uuid).ok().and_then(|at| self.rows(class).get(at))
    }

    /// The object, or `UUID_INVALID`.
    pub fn get(&self, class: Class, uuid: &str) -> Outcome<&Row> {
        self.find(class, uuid).ok_or_else(|| unknown(class, uuid))
    }

    /// The object, to change it.
    pub fn edit(&mut self, class: Class, uuid: &str) -> Outcome<&mut Row> {
        let at = self.at(class, uuid).map_err(|_| unknown(class, uuid))?;
        self.touch(class);
        self.tables.get_mut(&class).and_then(|rows| rows.get_mut(at)).ok_or_else(|| unknown(class, uuid))
    }

    /// Sets one attribute of an object.
    pub fn set(&mut self, class: Class, uuid: &str, name: &'static str, value: &str) -> Outcome<()> {
        self.edit(class, uuid)?.set(name, value.to_owned());
        Ok(())
    }

    /// Adds a row.
    pub fn insert(&mut self, row: Row) {
        self.touch(row.class);
        let at = self.at(row.class, &row.uuid).unwrap_or_else(|at| at);
        self.tables.entry(row.class).or_default().insert(at, row);
    }

    /// Takes a row away.
    pub fn remove(&mut self, class: Class, uuid: &str) {
        if let Ok(at) = self.at(class, uuid) {
            self.touch(class);
            if let Some(rows) = self.tables.get_mut(&class) {
                rows.remove(at);
            }
        }
    }

    fn touch(&mut self, class: Class) {
        self.changed = true;
        self.index.get_mut().retain(|(indexed, _), _| *indexed != class);
    }

    /// The file that holds a VDI's bytes, as they were before the call.
    pub fn content(&self, uuid: &str) -> PathBuf {
        self.folder.join(uuid)
    }

    /// Whether anything has changed since the pool was read.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// The host that goes by this address, hostname or name.
    pub fn host_called(&self, name: &str) -> Option<&Row> {
        let names = ["address", "hostname", "name-label"];
        let mut hosts = self.rows(Class::Host).iter();
        hosts.find(|host| names.iter().any(|field| host.get(field).eq_ignore_ascii_case(name)))
    }

    /// The next uuid: the same sequence in every pool.
    pub fn new_uuid(&mut self) -> String {
        self.counter += 1;
        nth_uuid(self.counter)
    }

    /// The pool's time now, as XAPI prints times.
    pub fn now(&self) -> String {
        timestamp(self.clock)
    }

    /// Rows of `class` whose attribute `name` holds `uuid`.
    pub fn referring(&self, class: Class, name: &'static str, uuid: &str) -> Vec<&Row> {
        let mut indexes = self.index.borrow_mut();
        let index = indexes.entry((class, name)).or_insert_with(|| {
            let mut index = Index::new();
            for (at, row) in self.rows(class).iter().enumerate() {
                let held = row.get(name);
                if !held.is_empty() {
                    index.entry(held.to_owned()).or_default().push(at);
                }
            }
            index
        });
        let rows = self.rows(class);
        index.get(uuid).into_iter().flatten().filter_map(|&at| rows.get(at)).collect()
    }

    /// The uuids of [`Pool::referring`], for whoever goes on to change the pool.
    pub fn referring_uuids(&self, class: Class, name: &'static str, uuid: &str) -> Vec<String> {
        self.referring(class, name, uuid).iter().map(|row| row.uuid.to_string()).collect()
    }

    /// The pool's own row.
    pub fn own(&self) -> Outcome<&Row> {
        self.rows(Class::Pool).first().ok_or_else(|| {
            refused("INTERNAL_ERROR", vec![Param::text("the simulated pool has no pool object")])
        })
    }

    /// The coordinator's uuid.
    pub fn coordinator(&self) -> Outcome<String> {
        Ok(self.own()?.get("master").to_owned())
    }

    /// An object as a parameter of an error.
    pub fn param(&self, class: Class, uuid: &str) -> Param {
        Param::object(uuid, self.find(class, uuid).map(|row| row.get("name-label")))
    }

    /// A VM as a parameter of an error.
    pub fn vm_param(&self, uuid: &str) -> Param {
        self.param(Class::Vm, uuid)
    }
}

fn unknown(class: Class, uuid: &str) -> Fail {
    refused("UUID_INVALID", vec![Param::text(class.api_name()), Param::text(uuid)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_the_same_in_every_pool_and_unlike_each_other() {
        let (mut one, mut other) = (Pool::default(), Pool::default());
        let first = one.new_uuid();
        assert_eq!(first, other.new_uuid());
        assert_ne!(first, one.new_uuid());
        assert_eq!(first.len(), 36);
    }

    #[test]
    fn references_follow_every_change() {
        let mut pool = Pool::default();
        let mut vbd = Row::new(Class::Vbd, "b");
        vbd.set("vm-uuid", "v");
        pool.insert(vbd);
        assert_eq!(pool.referring_uuids(Class::Vbd, "vm-uuid", "v"), ["b"]);
        pool.remove(Class::Vbd, "b");
        assert!(pool.referring(Class::Vbd, "vm-uuid", "v").is_empty());
    }
}
