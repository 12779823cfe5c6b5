//! Records under the VM's number that are another machine's (OS/UUID): another OpenNebula's on the same pool, or those
//! of an OpenNebula that was installed anew. The VM gets nothing of theirs, and they stay.

use super::plan::Plan;
use crate::action::identity::{Identity, Whose};
use crate::one;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vm;

/// The records that may be this VM's. The others are noted on the new one, so that monitoring tells OpenNebula of it
/// and not of them.
///
/// # Errors
///
/// Where OpenNebula knows such a record as this VM's (DEPLOY_ID): somebody has changed OS/UUID, or monitoring has told
/// OpenNebula of the wrong record. Its disks may hold what the VM's guest wrote last, so neither it nor the files are
/// taken.
pub fn leave_out(
    identity: &Identity,
    there: Vec<vm::Vm>,
    vm: &one::Vm,
    plan: &mut Plan,
) -> Result<Vec<vm::Vm>> {
    let is_other = |record: &vm::Vm| matches!(identity.whose(record), Whose::OtherMachine(_));
    let (others, ours): (Vec<vm::Vm>, Vec<vm::Vm>) = there.into_iter().partition(is_other);
    for other in &others {
        if other.uuid.to_string() == vm.deploy_id {
            identity.check(other)?;
        }
        report::warn(format!(
            "VM {} in the pool, {}, is VM {} of another OpenNebula or of an earlier one (its OS/UUID is another): it \
             stays as it is; one-xcp gc lists it if nobody has it any more",
            other.uuid, other.power_state, vm.vm_id
        ));
    }
    if !others.is_empty() {
        let uuids: Vec<String> = others.iter().map(|other| other.uuid.to_string()).collect();
        plan.params.push((format!("other-config:{}", mark::SUPERSEDES), uuids.join(",")));
    }
    Ok(ours)
}
