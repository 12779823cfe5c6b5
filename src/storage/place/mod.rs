//! `HOST:PATH`, as OpenNebula names files on hosts, and what is done there: on this machine, or over ssh as its own
//! scripts do.

mod files;

pub use files::PASSING;

use crate::report::Result;
use crate::ssh;
use crate::xe::host::without_brackets;
use anyhow::{Context, ensure};
use std::fmt;
use std::str::FromStr;

/// A file or folder on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub host: String,
    /// Absolute, without doubled slashes.
    pub path: String,
}

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Place> {
        let (host, path) = host_and_path(text).with_context(|| format!("{text:?} is not HOST:PATH"))?;
        ssh::check_host(host)?;
        ensure!(path.starts_with('/'), "{path:?} is not a full path");
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        ensure!(parts.len() >= 3 && !parts.contains(&".."), "{path:?} is no path in a datastore");
        ensure!(!path.contains(char::is_control), "{path:?} holds a control character");
        Ok(Place { host: host.to_owned(), path: format!("/{}", parts.join("/")) })
    }
}

/// An IPv6 address has colons of its own, in brackets or not.
fn host_and_path(text: &str) -> Option<(&str, &str)> {
    let colon = text.find(":/").or_else(|| text.find(':'))?;
    let (host, path) = text.split_at(colon);
    Some((without_brackets(host), path.strip_prefix(':')?))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.path)
    }
}

impl Place {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("/", |(folder, _)| folder)
    }

    /// A file in this folder.
    #[must_use]
    pub fn below(&self, name: &str) -> Place {
        Place { host: self.host.clone(), path: format!("{}/{name}", self.path) }
    }

    /// The number of `disk.N`; none for a VM's folder.
    pub fn disk_id(&self) -> Option<u32> {
        self.name().strip_prefix("disk.")?.parse().ok()
    }

    /// As [`Place::disk_id`], for scripts that work on disks only.
    pub fn need_disk_id(&self) -> Result<u32> {
        self.disk_id().with_context(|| format!("{self} is not a disk.N"))
    }

    /// The system datastore's number, from `…/DS_ID/VM_ID/disk.N`.
    pub fn ds_id(&self) -> Result<u32> {
        let parts: Vec<&str> = self.path.rsplit('/').collect();
        let number = if self.disk_id().is_some() { parts.get(2) } else { parts.get(1) };
        let number = number.and_then(|part| part.parse().ok());
        number.with_context(|| format!("{self} is not in a system datastore's folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_read_as_opennebula_writes_it() {
        let place: Place = "xcp-a:/var/lib/one//datastores/100/2/disk.5".parse().unwrap();
        assert_eq!(place.to_string(), "xcp-a:/var/lib/one/datastores/100/2/disk.5");
        assert_eq!((place.disk_id(), place.ds_id().unwrap()), (Some(5), 100));
        let folder: Place = "xcp-a:/var/lib/one/datastores/100/2".parse().unwrap();
        assert_eq!((folder.disk_id(), folder.ds_id().unwrap()), (None, 100));
    }

    #[test]
    fn a_host_may_be_an_ipv6_address() {
        for text in
            ["[fd00::a]:/var/lib/one/datastores/100/2/disk.5", "fd00::a:/var/lib/one/datastores/100/2/disk.5"]
        {
            let place: Place = text.parse().unwrap();
            assert_eq!((place.host.as_str(), place.disk_id()), ("fd00::a", Some(5)), "{text}");
        }
    }

    #[test]
    fn what_could_remove_too_much_is_refused() {
        for text in
            ["xcp-a", "xcp-a:", "xcp-a:/", "xcp-a:/var", "-oX:/a/b/c", "h:/a/b/../c", "h:relative/b/c/d"]
        {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
