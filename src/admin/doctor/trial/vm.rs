//! The VM of a trial: small disks of our own making, no network, no guest system. Its documents are what oned would
//! send (release 7.4).

use crate::report::Result;
use crate::xe::Uuid;
use anyhow::{Context, ensure};
use std::fs::{self, File, read};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// oned numbers its VMs from 0: none gets this far.
const FIRST_VM_ID: u32 = 4_000_000_000;
const DISK_BYTES: u64 = 16 << 20;
const CONTEXT_BYTES: u64 = 368 << 10;
/// The volume descriptor of an ISO 9660 file system, and the label that guests look for (ECMA-119 §8.4).
const ISO_MARKS: [(u64, &[u8]); 2] = [(32_769, b"CD001"), (32_808, b"CONTEXT")];

/// LCM_STATE of the messages (VirtualMachine.h).
pub const MIGRATE: u32 = 4;
pub const SAVE_SUSPEND: u32 = 5;
pub const SHUTDOWN: u32 = 12;
pub const HOTPLUG: u32 = 17;
pub const SHUTDOWN_POWEROFF: u32 = 18;
pub const BOOT_SUSPENDED: u32 = 21;
pub const HOTPLUG_SNAPSHOT: u32 = 24;

/// A VM with a disk, a context disc and a console, and a second disk for hotplug.
pub struct TrialVm {
    pub vm_id: u32,
    pub console_port: u16,
    machine_uuid: Uuid,
    folder: TempDir,
    host: String,
}

impl TrialVm {
    /// Makes its files in a folder of their own, which goes with it.
    pub fn make(host: &str) -> Result<TrialVm> {
        let folder = tempfile::Builder::new().prefix("one-xcp-trial-").tempdir();
        let folder = folder.context("cannot make a folder for the trial's disks")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let vm_id = FIRST_VM_ID + now.subsec_nanos() % 90_000_000 + process::id() % 100_000;
        let machine_uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().parse()?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let console_port = free.context("no port is free for the trial's console")?.port();
        let vm = TrialVm { vm_id, console_port, machine_uuid, folder, host: host.to_owned() };
        fs::create_dir_all(vm.vm_folder())?;
        for disk_id in [0, 2] {
            vm.write(disk_id, DISK_BYTES, &[(0, b"one-xcp"), (9 << 20, &content(disk_id))])?;
        }
        vm.write(1, CONTEXT_BYTES, &ISO_MARKS)?;
        Ok(vm)
    }

    /// DATASTORE_LOCATION of the trial's scripts.
    pub fn datastores(&self) -> PathBuf {
        self.folder.path().join("datastores")
    }

    /// A file in the VM's folder.
    pub fn file(&self, name: &str) -> String {
        self.vm_folder().join(name).display().to_string()
    }

    /// The host that it is on by now, as OpenNebula would have it.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn is_on(&mut self, host: &str) {
        host.clone_into(&mut self.host);
    }

    fn vm_folder(&self) -> PathBuf {
        self.datastores().join("0").join(self.vm_id.to_string())
    }

    fn write(&self, disk_id: u32, bytes: u64, pieces: &[(u64, &[u8])]) -> Result<()> {
        let path = self.file(&format!("disk.{disk_id}"));
        let file = File::create(&path)?;
        file.set_len(bytes)?;
        pieces.iter().try_for_each(|(at, piece)| file.write_all_at(piece, *at)).context(path)
    }

    /// Whether `disk.N` still holds what it was made with.
    pub fn check_file(&self, disk_id: u32) -> Result<()> {
        let path = self.file(&format!("disk.{disk_id}"));
        let bytes = read(Path::new(&path)).with_context(|| format!("cannot read {path}"))?;
        ensure!(bytes.len() as u64 == DISK_BYTES, "{path} has {} bytes, not {DISK_BYTES}", bytes.len());
        let found = bytes.get(9 << 20..).is_some_and(|rest| rest.starts_with(&content(disk_id)));
        ensure!(found, "{path} has lost its content");
        Ok(())
    }

    /// The deployment file.
    pub fn deployment(&self) -> String {
        self.document("", 2, &[])
    }

    /// The message of an action on it; `more` stands in the VM's template.
    pub fn message(&self, deploy_id: &str, lcm_state: u32, more: &[&str]) -> String {
        format!(
            "<VMM_DRIVER_ACTION_DATA><HOST>{}</HOST><DEPLOY_ID>{deploy_id}</DEPLOY_ID>{}<DATASTORE><ID>0</ID>\
             <TM_MAD>shared</TM_MAD><BASE_PATH>{}</BASE_PATH><TEMPLATE/></DATASTORE></VMM_DRIVER_ACTION_DATA>",
            self.host,
            self.document(deploy_id, lcm_state, more),
            self.datastores().join("0").display()
        )
    }

    fn document(&self, deploy_id: &str, lcm_state: u32, more: &[&str]) -> String {
        let (vm_id, port, host) = (self.vm_id, self.console_port, &self.host);
        format!(
            "<VM><ID>{vm_id}</ID><NAME>trial of one-xcp doctor</NAME><STATE>3</STATE>\
             <LCM_STATE>{lcm_state}</LCM_STATE><DEPLOY_ID>{deploy_id}</DEPLOY_ID><TEMPLATE><CPU>0.1</CPU>\
             <MEMORY>256</MEMORY><CONTEXT><DISK_ID>1</DISK_ID><TARGET>hda</TARGET></CONTEXT>{}{}\
             <GRAPHICS><LISTEN>127.0.0.1</LISTEN><PORT>{port}</PORT><TYPE>VNC</TYPE></GRAPHICS>\
             <OS><UUID>{}</UUID></OS></TEMPLATE><HISTORY_RECORDS><HISTORY><SEQ>0</SEQ><HOSTNAME>{host}</HOSTNAME>\
             <TM_MAD>shared</TM_MAD><DS_ID>0</DS_ID></HISTORY></HISTORY_RECORDS></VM>",
            disk(0, "xvda", ""),
            more.concat(),
            self.machine_uuid
        )
    }
}

/// A volatile disk of the trial.
pub fn disk(disk_id: u32, target: &str, more: &str) -> String {
    format!(
        "<DISK><DISK_ID>{disk_id}</DISK_ID><DRIVER>raw</DRIVER><FORMAT>raw</FORMAT><SIZE>{}</SIZE>\
         <TARGET>{target}</TARGET><TM_MAD>shared</TM_MAD><TYPE>fs</TYPE>{more}</DISK>",
        DISK_BYTES >> 20
    )
}

/// What a disk holds, so that its way into the pool and back can be checked.
fn content(disk_id: u32) -> Vec<u8> {
    format!("content of disk {disk_id} of a trial\n").repeat(64).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{TrialVm, disk};
    use crate::one::{Element, Message, Vm};

    #[test]
    fn its_documents_are_read_as_onedss() {
        let vm = TrialVm::make("xcp-a").unwrap();
        let deployed = Vm::read(Element::parse("the deployment file", &vm.deployment()).unwrap()).unwrap();
        assert_eq!((deployed.vm_id, deployed.disks.len(), deployed.ds_id), (vm.vm_id, 1, Some(0)));
        let more = disk(2, "xvdb", "<ATTACH>YES</ATTACH>");
        let message = Message::parse(&vm.message("u", super::HOTPLUG, &[&more])).unwrap();
        assert_eq!(message.vm.disks.len(), 2);
        assert!(message.vm_folder.unwrap().is_dir());
        vm.check_file(0).unwrap();
    }
}
