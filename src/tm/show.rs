//! What the arguments of a script leave out is asked of OpenNebula, as its own scripts do: `onevm show`,
//! `onedatastore show`.

use crate::one::Element;
use crate::process;
use crate::report::{self, Result};
use crate::xe::Uuid;
use anyhow::{Context, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A VM or a datastore, as OpenNebula has it.
pub struct Shown {
    root: Element,
    xml: String,
}

/// `onevm show ID`.
pub fn vm(id: u32) -> Result<Shown> {
    ask("onevm", id)
}

/// `onedatastore show ID`.
pub fn datastore(id: u32) -> Result<Shown> {
    ask("onedatastore", id)
}

/// `oneimage show ID`.
pub fn image(id: u32) -> Result<Shown> {
    ask("oneimage", id)
}

/// Whether OpenNebula's commands are on this machine.
pub fn is_there() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    program("onevm").is_file() || env::split_paths(&path).any(|folder| folder.join("onevm").is_file())
}

fn program(name: &str) -> PathBuf {
    match env::var_os("ONE_LOCATION").filter(|location| !location.is_empty()) {
        Some(location) => Path::new(&location).join("bin").join(name),
        None => PathBuf::from(name),
    }
}

fn ask(name: &str, id: u32) -> Result<Shown> {
    let mut command = Command::new(program(name));
    command.args(["show", "-x", &id.to_string()]);
    let said = process::output(&mut command, LIMIT)
        .with_context(|| format!("{name} show {id}, which is OpenNebula's, cannot be asked"))?;
    let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
    ensure!(said.status.success(), "{name} show {id}: {complaint}");
    let text = String::from_utf8(said.stdout).with_context(|| format!("{name} show {id}"))?;
    let root = Element::parse(&format!("what {name} show {id} says"), &text)?;
    // For passing it on, inside of another document.
    let xml = text.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let xml = xml.map_or(text.as_str(), |(_, document)| document).to_owned();
    Ok(Shown { root, xml })
}

impl Shown {
    /// A number or word at the top of the document; empty if it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.root.text(name)
    }

    /// The document itself.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// An attribute of the template; empty if it is not set.
    pub fn setting(&self, name: &str) -> String {
        self.root.all("TEMPLATE").next().map_or("", |template| template.text(name)).to_owned()
    }

    /// A VM's OS/UUID, which OpenNebula makes for each since 6.0.
    pub fn os_uuid(&self) -> Option<Uuid> {
        self.root.all("TEMPLATE").next()?.all("OS").next()?.text("UUID").parse().ok()
    }

    /// Whether there is an OS/UUID, also one that cannot be read.
    pub fn has_os_uuid(&self) -> bool {
        let template = self.root.all("TEMPLATE").next();
        template.is_some_and(|template| template.all("OS").any(|os| !os.text("UUID").is_empty()))
    }

    /// The MAC addresses of a VM's NICs.
    pub fn macs(&self) -> Vec<&str> {
        let template = self.root.all("TEMPLATE").next();
        let nics = template.into_iter().flat_map(|template| template.all("NIC"));
        nics.map(|nic| nic.text("MAC")).filter(|mac| !mac.is_empty()).collect()
    }

    /// A VM's disk; the error names its number.
    pub fn disk(&self, disk_id: u32) -> Result<Element> {
        let mut disks = self.root.child("TEMPLATE")?.all("DISK");
        let disk = disks.find(|disk| disk.text("DISK_ID") == disk_id.to_string());
        disk.cloned().with_context(|| format!("OpenNebula's VM has no disk {disk_id}"))
    }
}
