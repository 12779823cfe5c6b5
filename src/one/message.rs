//! What OpenNebula tells an action on standard input: the deployment file for `deploy`,
//! `<VMM_DRIVER_ACTION_DATA>` for all others. Releases before 5.0, and people, give none.

use super::{Element, Vm, input};
use crate::report::Result;
use anyhow::{Context, bail};
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

const WHAT: &str = "the message on standard input";

/// The message of an action on a VM that is already deployed.
#[derive(Debug)]
pub struct Message {
    pub vm: Vm,
    /// The VM's folder on the host, `DATASTORE/BASE_PATH` / VM id; where its `disk.N` are.
    pub vm_folder: Option<PathBuf>,
    /// The SR that the VM's system datastore stands for, if it says so (XCP_SR).
    pub system_sr: Option<String>,
    pub datastore: SystemDatastore,
    /// Where the VM's folder is to be after a migration (DISK_TARGET_PATH, since release 6.0).
    pub target_folder: Option<PathBuf>,
}

/// The system datastore of an action's message; in that of a migration the one that the VM comes from
/// (VirtualMachineManager.cc, `trigger_migrate`).
#[derive(Debug, Default)]
pub struct SystemDatastore {
    pub ds_id: Option<u32>,
    pub tm_mad: String,
    /// Whether all hosts see the same files in it (SHARED); none if OpenNebula does not say.
    pub is_shared: Option<bool>,
}

impl SystemDatastore {
    fn read(store: &Element) -> Result<SystemDatastore> {
        let shared = store.all("TEMPLATE").next().map_or("", |template| template.text("SHARED"));
        Ok(SystemDatastore {
            ds_id: store.get("ID")?,
            tm_mad: store.text("TM_MAD").to_owned(),
            is_shared: (!shared.is_empty()).then(|| shared.eq_ignore_ascii_case("yes")),
        })
    }
}

impl Message {
    /// Reads the message, if there is one: by hand, at a terminal, there is none.
    pub fn from_stdin() -> Result<Option<Message>> {
        if stdin().is_terminal() {
            return Ok(None);
        }
        input::read_optional(WHAT, stdin().lock())?.map(|text| Message::parse(&text)).transpose()
    }

    /// Reads `<VMM_DRIVER_ACTION_DATA>`, or the bare `<VM>` that some scripts get.
    pub fn parse(text: &str) -> Result<Message> {
        let mut root = Element::parse(WHAT, text)?;
        match root.name() {
            "VM" => Ok(Message {
                vm: Vm::read(root)?,
                vm_folder: None,
                system_sr: None,
                datastore: SystemDatastore::default(),
                target_folder: None,
            }),
            "VMM_DRIVER_ACTION_DATA" => {
                let vm = root.take("VM").context("VMM_DRIVER_ACTION_DATA/VM is missing")?;
                let vm = Vm::read(vm)?;
                let system = root.all("DATASTORE").next().and_then(|store| store.all("TEMPLATE").next());
                let system_sr = system.map_or("", |template| template.text("XCP_SR")).to_owned();
                let system_sr = Some(system_sr).filter(|sr| !sr.is_empty());
                let store = root.all("DATASTORE").next();
                let base = store.map_or("", |store| store.text("BASE_PATH"));
                let vm_folder = (!base.is_empty()).then(|| Path::new(base).join(vm.vm_id.to_string()));
                let target = root.text("DISK_TARGET_PATH");
                Ok(Message {
                    vm,
                    vm_folder,
                    system_sr,
                    datastore: store.map_or(Ok(SystemDatastore::default()), SystemDatastore::read)?,
                    target_folder: (!target.is_empty()).then(|| PathBuf::from(target)),
                })
            }
            other => bail!("{WHAT} is a {other}, not a VMM_DRIVER_ACTION_DATA"),
        }
    }
}
