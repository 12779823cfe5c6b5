//! OpenNebula's documents of a VM, made of those that a real oned gave.

use crate::common::Recorded;
use crate::disk::{CONTEXT, Disk};

/// What differs between a VM's documents.
pub struct Vm<'a> {
    pub vm_id: u32,
    pub slot: usize,
    pub deploy_id: &'a str,
    pub host: &'a str,
    pub lcm_state: u32,
    pub disks: &'a [Disk],
    /// The DISK_ID that says ATTACH: the one which is attached or detached.
    pub attach: Option<u32>,
}

/// The recorded documents, read once.
pub struct Documents {
    vm: String,
    disk: String,
    before_vm: String,
    after_vm: String,
}

impl Documents {
    pub fn load() -> Documents {
        let text = |name| String::from_utf8(Recorded::load(name).stdin).unwrap();
        let (vm, message) = (text("deploy"), text("shutdown"));
        let (first, last) = (vm.find("<DISK>").unwrap(), vm.rfind("</DISK>").unwrap() + "</DISK>".len());
        let first_end = vm.find("</DISK>").unwrap() + "</DISK>".len();
        Documents {
            disk: vm[first..first_end].to_owned(),
            vm: format!("{}DISKS{}", &vm[..first], &vm[last..]),
            before_vm: message[..message.find("<VM>").unwrap()].to_owned(),
            after_vm: message[message.find("</VM>").unwrap() + "</VM>".len()..].to_owned(),
        }
    }

    /// The deployment file.
    pub fn deployment(&self, vm: &Vm) -> Vec<u8> {
        self.vm_element(vm).into_bytes()
    }

    /// The message of an action.
    pub fn message(&self, vm: &Vm) -> Vec<u8> {
        let head = replaced(&self.before_vm, "11111111-2222-3333-4444-000000000001", vm.deploy_id);
        let head = replaced(&head, "<HOST>xcp-a<", &format!("<HOST>{}<", vm.host));
        let element = self.vm_element(vm);
        let element = &element[element.find("<VM>").unwrap()..];
        format!("{head}{}{}", element.trim_end(), self.after_vm).into_bytes()
    }

    fn vm_element(&self, vm: &Vm) -> String {
        let attach = |disk: &Disk| vm.attach == Some(disk.disk_id);
        let element = |disk: &Disk| match (disk.element(vm.slot, &self.disk), attach(disk)) {
            (element, true) => replaced(&element, "<DISK>", "<DISK><ATTACH><![CDATA[YES]]></ATTACH>"),
            (element, false) => element,
        };
        let disks: Vec<String> = vm.disks.iter().map(element).collect();
        let mut text = self.vm.clone();
        let id = vm.vm_id;
        for (old, new) in [
            ("<VM><ID>1</ID>", format!("<VM><ID>{id}</ID>")),
            ("<VMID><![CDATA[1]]>", format!("<VMID><![CDATA[{id}]]>")),
            ("<OID>1</OID>", format!("<OID>{id}</OID>")),
            ("<LCM_STATE>2</LCM_STATE>", format!("<LCM_STATE>{}</LCM_STATE>", vm.lcm_state)),
            ("<DEPLOY_ID></DEPLOY_ID>", format!("<DEPLOY_ID>{}</DEPLOY_ID>", vm.deploy_id)),
            ("<DISK_ID><![CDATA[2]]>", format!("<DISK_ID><![CDATA[{CONTEXT}]]>")),
            ("02:00:c0:a8:0a:0a", format!("02:00:c0:a8:{:02x}:{:02x}", id / 256, id % 256)),
            ("07110b6908c4", format!("07110b{id:06x}")),
            ("<HOSTNAME>xcp-a<", format!("<HOSTNAME>{}<", vm.host)),
        ] {
            text = replaced(&text, old, &new);
        }
        replaced(&text, "DISKS", &disks.concat())
    }
}

/// What is to be replaced must be there.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the recorded document does not hold {old:?}");
    text.replace(old, new)
}
