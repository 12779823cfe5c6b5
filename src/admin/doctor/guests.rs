//! Guest tools of OpenNebula's running VMs.

use super::finding::Finding;
use super::some;
use crate::one::Conf;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::Xe;

const SUBJECT: &str = "guest tools";

/// Of what guests write nothing is read: whether there are tools XAPI says itself, and nothing where there
/// never were any (xapi records.ml, `PV-drivers-detected`).
pub fn check(xe: &Xe, conf: &Conf) -> Result<Vec<Finding>> {
    let fields = ["uuid", "other-config", "PV-drivers-detected"];
    let filters = [("power-state", "running"), ("is-control-domain", "false")];
    let without = xe.list("vm", &fields, &filters, |record| {
        let is_ours = record.map_value("other-config", mark::VM_UUID) == Some(record.text("uuid"));
        let has_none = record.text("PV-drivers-detected") != "true";
        let vm_id = record.map_value("other-config", mark::VM_ID).filter(|_| is_ours && has_none);
        Ok(vm_id.and_then(|vm_id| vm_id.parse::<u32>().ok()))
    })?;
    let mut without: Vec<u32> = without.into_iter().flatten().collect();
    without.sort_unstable();
    let without: Vec<String> = without.iter().map(|vm_id| format!("VM {vm_id}")).collect();
    if without.is_empty() {
        return Ok(vec![Finding::fine(SUBJECT, "all of OpenNebula's running VMs have them")]);
    }
    let shutdown = match conf.text("NO_TOOLS_SHUTDOWN", "force") {
        "fail" => "shutdown fails",
        _ => "shutdown pulls the plug",
    };
    let text = format!("{} have none: {shutdown}, and they cannot migrate live", some(&without));
    Ok(vec![Finding::note(SUBJECT, text, "install them in the guests (xe-guest-utilities)")])
}
