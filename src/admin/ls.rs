//! `one-xcp ls`: the VMs of this pool as OpenNebula knows them.

use super::text;
use crate::action::Caller;
use crate::parallel;
use crate::probe::vm_status::{self, Status};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::translate::vm_state::State;
use crate::xe::host::Host;
use crate::xe::{Uuid, Xe};

/// List OpenNebula's VMs in this pool.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The host to ask, where XE_SERVER is HOST
    #[arg(default_value = "")]
    host: String,
    /// With the names that their owners gave them: one more xe call for each VM
    #[arg(long)]
    names: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A VM, as a line shows it.
struct Line {
    status: Status,
    state: &'static str,
    name: String,
    host: Option<String>,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let xe = caller.xe(&caller.conf()?, &args.host)?;
    let (vms, hosts) = parallel::both(|| vm_status::all(&xe), || Host::all(&xe));
    let (mut vms, hosts) = (vms?, hosts?);
    vms.sort_by(|a, b| (a.vm_id, &a.deploy_id).cmp(&(b.vm_id, &b.deploy_id)));
    let names = names(&xe, args.names, &vms);
    let lines = vms.into_iter().zip(names).map(|(status, name)| {
        let on = |host: &&Host| Some(&host.uuid) == status.resident_on.as_ref();
        let host = hosts.iter().find(on).map(|host| host.name_label.clone());
        Line { state: state(&status), name, host, status }
    });
    let lines: Vec<Line> = lines.collect();
    Ok(if args.json { json(&lines) } else { table(&lines) })
}

/// Users' names may hold whatever text, so each is asked for by itself.
fn names(xe: &Xe, users_own: bool, vms: &[Status]) -> Vec<String> {
    if !users_own {
        return vms.iter().map(|vm| mark::vm_name(vm.vm_id)).collect();
    }
    parallel::map(vms, |vm| {
        let given = xe.param_get("vm", &vm.deploy_id, "name-description");
        given.map_or_else(|_| mark::vm_name(vm.vm_id), |name| report::one_line(&name))
    })
}

/// OpenNebula's word, or that XAPI is changing it.
fn state(vm: &Status) -> &'static str {
    vm.state.map_or("CHANGING", State::word)
}

fn table(lines: &[Line]) -> String {
    let heading = ["ID", "NAME", "STATE", "HOST", "UUID"].map(str::to_owned).to_vec();
    let rows = lines.iter().map(|line| {
        let host = line.host.clone().unwrap_or("-".to_owned());
        let (vm_id, uuid) = (line.status.vm_id.to_string(), line.status.deploy_id.to_string());
        vec![vm_id, line.name.clone(), line.state.to_owned(), host, uuid]
    });
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    text::table(&rows)
}

fn json(lines: &[Line]) -> String {
    let objects = lines.iter().map(|line| {
        text::object(&[
            ("vm_id", line.status.vm_id.to_string()),
            ("name", text::string(&line.name)),
            ("state", text::string(line.state)),
            ("host", text::optional(line.host.as_deref())),
            ("host_uuid", text::optional(line.status.resident_on.as_ref().map(Uuid::to_string).as_deref())),
            ("uuid", text::string(&line.status.deploy_id.to_string())),
        ])
    });
    text::array(&objects.collect::<Vec<_>>())
}
