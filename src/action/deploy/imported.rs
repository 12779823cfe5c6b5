//! A VM that OpenNebula imported and powered off: it is started as it is. Importing itself calls no driver
//! (DispatchManagerActions.cc `import`).

use crate::action::identity::{Identity, Whose};
use crate::one;
use crate::parallel;
use crate::report::{self, Result};
use crate::xe::host::{self, Host};
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::{Context, bail};

/// The uuid of the record, which runs on the host now; none if the VM was not imported.
pub fn start(xe: &Xe, identity: &Identity, vm: &one::Vm, host: &str) -> Result<Option<Uuid>> {
    if !identity.is_imported() {
        return Ok(None);
    }
    let uuid: Uuid = vm.deploy_id.parse().context("VM/DEPLOY_ID of an imported VM")?;
    let (found, hosts) = parallel::both(|| vm::Vm::find(xe, &uuid), || Host::all(xe));
    let (found, hosts) = (found?, hosts?);
    let host = host::named(&hosts, host)?;
    let record = found
        .with_context(|| format!("VM {} was imported as {uuid}, and the pool has no such VM", vm.vm_id))?;
    if identity.check_and_mark(xe, &record)? == Whose::This {
        return Ok(None);
    }
    let call = match record.power_state {
        _ if record.is_running_on(&host.uuid) => {
            report::info(format!("VM {uuid} already runs on {}", host.name_label));
            return Ok(Some(uuid));
        }
        PowerState::Halted => vm::start(&uuid, &host.uuid),
        PowerState::Suspended => vm::resume(&uuid, &host.uuid),
        state => bail!("VM {uuid} is {state} and not on {}: it is not started twice", host.name_label),
    };
    xe.run_within(&call, xe.transfer_limit)
        .with_context(|| format!("cannot start the imported VM {uuid} on {}", host.name_label))?;
    Ok(Some(uuid))
}
