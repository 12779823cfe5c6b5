//! `poll`: one VM's state and use, in the one line that OpenNebula up to 5.10 reads, or for people.

use super::Caller;
use crate::one::{Message, Release};
use crate::report::{self, Result};
use crate::translate::figure;
use crate::translate::vm_state::{self, State};
use crate::xe::{PowerState, Uuid, vm};
use std::fmt::Write;
use std::iter;

/// One VM's state and use.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The host OpenNebula has the VM on
    #[arg(default_value = "")]
    host: String,
    /// What OpenNebula appends: VM id and host
    #[arg(hide = true)]
    rest: Vec<String>,
    /// Ask for the CPU's use as well (a second xe call)
    #[arg(long)]
    counters: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "table")]
    json: bool,
    /// Print a table, as at a terminal
    #[arg(long)]
    table: bool,
}

/// What there is to say about a VM.
struct Sample {
    /// OpenNebula's letter: a(ctive), p(aused), d(isappeared or off).
    state: char,
    power_state: Option<PowerState>,
    resident_on: Option<Uuid>,
    memory_kib: u64,
    cpu_percent: Option<f64>,
    /// NETRX and the like.
    counted: Vec<(&'static str, u64)>,
}

/// What of a VM's use is an attribute before OpenNebula 4.14.
const COUNTED_BEFORE_4_14: [&str; 2] = ["NETRX", "NETTX"];

/// `counted` tells what the monitoring of this machine has counted of a VM that runs.
pub fn run(caller: &Caller, args: &Args, counted: fn(&Uuid) -> Vec<(&'static str, u64)>) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let vm_id = args.rest.first().and_then(|vm_id| vm_id.parse().ok());
    let identity = caller.identity(message.as_ref(), vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let found = vm::Vm::find(&xe, &args.deploy_id)?;
    if let Some(found) = &found {
        identity.check(found)?;
    }
    let power_state = found.as_ref().map(|vm| vm.power_state);
    let runs = power_state == Some(PowerState::Running);
    let sample = Sample {
        state: letter(power_state),
        power_state,
        resident_on: found.as_ref().and_then(|vm| vm.resident_on.clone()),
        memory_kib: found.as_ref().map_or(0, |vm| vm.memory_actual_bytes / 1024),
        cpu_percent: (args.counters && runs).then(|| vm::cpu_percent(&xe, &args.deploy_id)).transpose()?,
        counted: if runs { counted(&args.deploy_id) } else { Vec::new() },
    };
    Ok(if args.json {
        json(&args.deploy_id, &sample)
    } else if args.table || report::is_read_by_a_person() {
        table(&args.deploy_id, &sample)
    } else {
        let release = Release::beside(&caller.called_as);
        one_line(&sample, release.is_some_and(|release| release.says_used()))
    })
}

/// OpenNebula's letter; a VM that the pool has no more has disappeared.
fn letter(power_state: Option<PowerState>) -> char {
    power_state.and_then(|state| vm_state::state(state, iter::empty())).map_or('d', State::letter)
}

/// `STATE=a MEMORY=524288 CPU=3.5 NETRX=5000`: CPU in percent of one CPU, MEMORY in KiB; for OpenNebula before 4.14
/// USEDMEMORY and USEDCPU.
fn one_line(sample: &Sample, says_used: bool) -> String {
    let used = if says_used { "USED" } else { "" };
    let mut line = format!("STATE={}", sample.state);
    if sample.state == 'a' {
        _ = write!(line, " {used}MEMORY={}", sample.memory_kib);
    }
    if let Some(cpu) = sample.cpu_percent.and_then(figure::decimal) {
        _ = write!(line, " {used}CPU={cpu}");
    }
    for (name, count) in &sample.counted {
        if !says_used || COUNTED_BEFORE_4_14.contains(name) {
            _ = write!(line, " {name}={count}");
        }
    }
    line
}

fn json(uuid: &Uuid, sample: &Sample) -> String {
    let text = |value: Option<String>| value.map_or("null".to_owned(), |value| format!("\"{value}\""));
    let mut counted = String::new();
    for (name, count) in &sample.counted {
        _ = write!(counted, ",\"{}\":{count}", name.to_ascii_lowercase());
    }
    format!(
        r#"{{"deploy_id":"{uuid}","state":"{}","power_state":{},"resident_on":{},"memory_kib":{},"cpu_percent":{}{counted}}}"#,
        sample.state,
        text(sample.power_state.map(|state| state.to_string())),
        text(sample.resident_on.as_ref().map(Uuid::to_string)),
        sample.memory_kib,
        sample.cpu_percent.and_then(figure::decimal).unwrap_or("null".to_owned()),
    )
}

fn table(uuid: &Uuid, sample: &Sample) -> String {
    let power_state = sample.power_state.map_or("not in this pool".to_owned(), |state| state.to_string());
    let host = sample.resident_on.as_ref().map_or("-".to_owned(), Uuid::to_string);
    let mut table =
        format!("DEPLOY_ID    {uuid}\nSTATE        {} ({power_state})\nHOST         {host}\n", sample.state);
    _ = write!(table, "MEMORY       {} MB", sample.memory_kib / 1024);
    if let Some(cpu) = sample.cpu_percent.and_then(figure::decimal) {
        _ = write!(table, "\nCPU          {cpu} %");
    }
    for (name, count) in &sample.counted {
        _ = write!(table, "\n{name:<12} {count}");
    }
    table
}
