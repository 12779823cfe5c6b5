//! Whose a VM of the pool is. DEPLOY_ID alone does not tell: OpenNebula lets administrators set it (IMPORT_VM_ID up to
//! 5.10, DEPLOY_ID since; any user where VM_RESTRICTED_ATTR does not list it), and overwrites it with what monitoring
//! reports for the same number (InformationManager.cc `_vm_state`). So each action compares the record's marks with
//! the VM of its message before it changes anything, and each search by number leaves out what is another VM's.

use crate::one::{self, Message, Release};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vm::VmRecord;
use crate::xe::{Call, Uuid, Xe, call, vm};
use anyhow::bail;
use std::path::Path;

/// The VM of OpenNebula's that an action is about.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// OpenNebula's number; by hand nobody may have given it.
    vm_id: Option<u32>,
    /// OS/UUID, which OpenNebula makes for each VM and never gives twice; releases before 6.0 make none.
    os_uuid: Option<Uuid>,
    /// OpenNebula took over a VM that somebody else had made (TEMPLATE/IMPORTED).
    is_imported: bool,
    has_message: bool,
}

/// Whose a record is, seen from the VM of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The record that was made for this VM.
    This,
    /// A record of somebody else's that OpenNebula imported as this VM.
    Imported { is_marked: bool },
    /// Another VM of OpenNebula's.
    OtherVm(String),
    /// Another machine under the same number: of another OpenNebula, or of one that was installed anew.
    OtherMachine(Uuid),
    /// A record with the marks of another one: copied, or imported from a file.
    Copy,
    /// Imported as another VM.
    ImportedAs(String),
    /// Made by somebody else.
    Foreign,
}

impl Identity {
    /// Who is meant: by the message, else by the number among the arguments.
    pub fn of(message: Option<&Message>, vm_id: Option<u32>, called_as: &Path) -> Identity {
        let Some(message) = message else { return Identity { vm_id, ..Identity::default() } };
        Identity::of_vm(&message.vm, called_as)
    }

    /// The VM of a document. From release 7 on OpenNebula imports nothing, and TEMPLATE/IMPORTED means only that a
    /// user has given a DEPLOY_ID.
    pub fn of_vm(vm: &one::Vm, called_as: &Path) -> Identity {
        let can_import = || Release::beside(called_as).is_none_or(|release| release.imports());
        Identity {
            vm_id: Some(vm.vm_id),
            os_uuid: mark::os_uuid(vm),
            is_imported: vm.template.is_yes("IMPORTED") && can_import(),
            has_message: true,
        }
    }

    /// The VM with this number, and this OS/UUID if OpenNebula tells one.
    pub fn new(vm_id: u32, os_uuid: Option<Uuid>) -> Identity {
        Identity { vm_id: Some(vm_id), os_uuid, is_imported: false, has_message: true }
    }

    /// OpenNebula's number; by hand nobody may have given it.
    pub fn vm_id(&self) -> Option<u32> {
        self.vm_id
    }

    /// Whose the record is.
    pub fn whose(&self, record: &impl VmRecord) -> Whose {
        let marked = record.other_config(mark::VM_ID);
        let is_original = record.other_config(mark::VM_UUID) == Some(record.uuid().to_string().as_str());
        match marked {
            Some(number) if is_original => self.whose_original(record, number),
            Some(_) if !self.is_imported => Whose::Copy,
            _ => self.whose_imported(record),
        }
    }

    fn whose_original(&self, record: &impl VmRecord, number: &str) -> Whose {
        if self.vm_id.is_some_and(|vm_id| vm_id.to_string() != number) {
            return Whose::OtherVm(number.to_owned());
        }
        let marked = record.other_config(mark::OS_UUID).and_then(|text| text.parse::<Uuid>().ok());
        match (marked, &self.os_uuid) {
            (Some(marked), Some(wanted)) if marked != *wanted => Whose::OtherMachine(marked),
            _ => Whose::This,
        }
    }

    fn whose_imported(&self, record: &impl VmRecord) -> Whose {
        let mark = record.other_config(mark::IMPORTED).unwrap_or_default();
        match mark::imported_as(mark, record.uuid()) {
            _ if !self.is_imported => Whose::Foreign,
            None => Whose::Imported { is_marked: false },
            Some((number, marked)) => {
                let is_same_machine = marked.is_none() || self.os_uuid.is_none() || marked == self.os_uuid;
                if self.vm_id.is_some_and(|vm_id| vm_id.to_string() == number) && is_same_machine {
                    Whose::Imported { is_marked: true }
                } else {
                    Whose::ImportedAs(number.to_owned())
                }
            }
        }
    }

    /// What marks an imported record as this VM's.
    fn import_mark(&self, uuid: &Uuid) -> Option<String> {
        Some(mark::imported(uuid, self.vm_id?, self.os_uuid.as_ref()))
    }

    /// Whether OpenNebula took over a VM that somebody else had made.
    pub fn is_imported(&self) -> bool {
        self.is_imported
    }

    /// Whether the record was made for this VM: for searches by number.
    pub fn is_of(&self, record: &impl VmRecord) -> bool {
        self.whose(record) == Whose::This
    }

    /// The records that were made for this VM among all that carry its number.
    pub fn records(&self, xe: &Xe, vm_id: u32) -> Result<Vec<vm::Vm>> {
        let marked = vm::Vm::with_other_config(xe, mark::VM_ID, &vm_id.to_string())?;
        Ok(marked.into_iter().filter(|record| self.is_of(record)).collect())
    }

    /// Refuses a record that is not this VM's. By hand, without a message, the record of somebody else may be meant.
    pub fn check(&self, record: &impl VmRecord) -> Result<Whose> {
        let uuid = record.uuid();
        let vm = self.vm_id.map_or("the VM that is meant".to_owned(), |vm_id| format!("VM {vm_id}"));
        let whose = self.whose(record);
        match &whose {
            Whose::This | Whose::Imported { .. } => Ok(whose),
            Whose::Foreign if !self.has_message => Ok(whose),
            Whose::Copy if self.vm_id.is_none() => Ok(whose),
            Whose::OtherVm(number) => bail!(
                "DEPLOY_ID {uuid} is OpenNebula's VM {number}, and not {vm}: nothing was changed ({LIST})"
            ),
            Whose::OtherMachine(marked) => bail!(
                "DEPLOY_ID {uuid} has OS/UUID {marked}, and {vm} has {}: it is a VM of another OpenNebula, or of an \
                 earlier one, under the same number; nothing was changed (one-xcp gc lists what nobody has any more; \
                 if OS/UUID was changed in OpenNebula: {})",
                self.os_uuid.as_ref().map_or("none".to_owned(), Uuid::to_string),
                self.take(uuid)
            ),
            Whose::Copy => bail!(
                "DEPLOY_ID {uuid} is a copy of VM {} that somebody made in the pool, and not {vm}: nothing was \
                 changed ({LIST})",
                record.other_config(mark::VM_ID).unwrap_or_default()
            ),
            Whose::ImportedAs(number) => bail!(
                "DEPLOY_ID {uuid} was imported into OpenNebula as VM {number}, and not as {vm}: nothing was changed \
                 ({LIST})"
            ),
            Whose::Foreign => bail!(
                "DEPLOY_ID {uuid} was not made for OpenNebula, and is not {vm}: nothing was changed ({LIST})"
            ),
        }
    }

    /// As [`Identity::check`]; marks an imported record at the first action, so that no other VM can be it.
    pub fn check_and_mark(&self, xe: &Xe, record: &impl VmRecord) -> Result<Whose> {
        let whose = self.check(record)?;
        if let (Whose::Imported { is_marked: false }, Some(mark)) = (&whose, self.import_mark(record.uuid()))
        {
            xe.run(&vm::set(record.uuid()).set(format!("other-config:{}", mark::IMPORTED), mark))?;
            report::info(format!("VM {} is an imported one: it was not made for OpenNebula", record.uuid()));
        }
        Ok(whose)
    }

    /// What an administrator runs who knows that the record is the VM's.
    fn take(&self, uuid: &Uuid) -> Call {
        let os_uuid = self.os_uuid.as_ref().map_or(String::new(), Uuid::to_string);
        vm::set(uuid).set(format!("other-config:{}", mark::OS_UUID), os_uuid)
    }
}

/// Where an administrator sees whose each VM is.
const LIST: &str = "one-xcp ls lists whose each VM is";

/// Makes an imported VM a foreign one again.
pub fn forget_import(uuid: &Uuid) -> Call {
    call("vm-param-remove")
        .set("uuid", uuid)
        .set("param-name", "other-config")
        .set("param-key", mark::IMPORTED)
}
