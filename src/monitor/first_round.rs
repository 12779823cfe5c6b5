//! The first round of all probes, which oned takes as the answer to "start monitoring".

use super::at_work::is_at_work;
use super::clock::Clock;
use super::files::Files;
use super::host::Host;
use super::imported::Imported;
use super::kind::Kind;
use super::log::Log;
use super::powered_off;
use super::round;
use super::status::{MISSING_ROUNDS, Memory};
use crate::one::Release;
use crate::parallel;
use crate::probe::vm_status;
use crate::report::Result;
use crate::xe::Uuid;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// In the order in which OpenNebula's own client prints them, but for SYSTEM_HOST, which comes first.
const OTHERS: [Kind; 4] = [Kind::MonitorHost, Kind::StateVm, Kind::ExecVm, Kind::MonitorVm];

/// `<MONITOR_MESSAGES>`: each kind's text in base64. If even the host itself cannot be asked there is nothing
/// to monitor; another probe's failure is logged and its kind left out.
///
/// OpenNebula waits 90 s for it: probes that hang in several kinds do so side by side.
pub fn run(host: &Host, files: &Files, log: &Log) -> Result<String> {
    let mut document = "<MONITOR_MESSAGES>".to_owned();
    let mut add = |kind: Kind, text: String| {
        _ = write!(document, "<{0}>{1}</{0}>", kind.name(), STANDARD.encode(text));
    };
    add(Kind::SystemHost, round::text(host, Kind::SystemHost, files, log)?);
    let texts = parallel::map(&OTHERS, |kind| match kind {
        Kind::StateVm => states(host, files, log),
        _ => round::text(host, *kind, files, log),
    });
    for (kind, text) in OTHERS.into_iter().zip(texts) {
        match text {
            Ok(text) => add(kind, text),
            // run_monitord_client takes standard error for a part of the document.
            Err(why) => log.say(kind.name(), &format!("{why:#}")),
        }
    }
    _ = write!(document, "<TIMESTAMP>{}</TIMESTAMP></MONITOR_MESSAGES>", Clock::new(files.clone()).now());
    Ok(document)
}

/// All VMs. The client that follows begins with what was told here.
fn states(host: &Host, files: &Files, log: &Log) -> Result<String> {
    let mut memory = Memory::load(&files.read("vms")?.unwrap_or_default());
    let mut imported = Imported::new(Release::beside(&host.called_as).as_ref());
    let seen = vm_status::seen(&host.xe)?;
    // The client that follows writes its disks back before OpenNebula hears that it is off.
    let goes_back =
        |vm: &Uuid| seen.ours.iter().any(|seen| seen.deploy_id == *vm && powered_off::goes_back(seen));
    let is_held = |vm: &Uuid| goes_back(vm) || is_at_work(vm);
    // What is not there now may have gone while there was no client: three rounds would tell of it as it was.
    for _ in 0..MISSING_ROUNDS {
        memory.observe(&host.uuid()?, &seen.ours, is_held);
    }
    imported.observe(&host.uuid()?, &seen.wild);
    let text = memory.all() + &imported.all() + &round::of_others(host, Kind::StateVm, log);
    memory.told();
    files.write("vms", &memory.save())?;
    Ok(text)
}
