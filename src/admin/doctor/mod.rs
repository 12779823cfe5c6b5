//! `one-xcp doctor`: is this host ready for OpenNebula's VMs, and what to do if not.

mod finding;
mod front_end;
mod guests;
mod hosts;
mod machine;
mod networks;
mod program;
mod remotes;
mod settings;
mod srs;
mod ssh;
mod storage;
mod trial;

use super::text;
use crate::action::Caller;
use crate::one::Conf;
use crate::parallel;
use crate::qemu_img;
use crate::report::{self, Result};
use crate::xe::Xe;
use anyhow::bail;
use finding::{Finding, Level};
use std::path::PathBuf;

/// Look whether this host is ready for OpenNebula's VMs, and say what to do if not.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The host as OpenNebula names it; without it this machine
    #[arg(default_value = "")]
    host: String,
    /// OpenNebula's remotes, if not around this program, in /var/lib/one/remotes or /var/tmp/one
    #[arg(long, value_name = "DIR")]
    remotes: Option<PathBuf>,
    /// Play a VM's whole life on the pool, with small disks and without a guest system, and leave nothing of it
    #[arg(long = "try")]
    try_it: bool,
    /// Write versions, settings, findings and calls to a new FILE, for a bug report: without secrets and names
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let (conf, mut found) = settings::check(caller);
    found.extend(remotes::check(&caller.called_as, args.remotes.as_deref()));
    let xe = caller.xe(&conf, &args.host).map(|xe| (program::check(&xe), xe));
    let has_xe = xe.as_ref().is_ok_and(|(program, _)| program.level == Level::Fine);
    if !has_xe && front_end::is_one(&conf, &args.host) {
        return from_front_end(caller, &conf, args, found);
    }
    found.extend(machine::check(caller, &conf, &args.host));
    found.extend(pool(xe, &conf, &args.host));
    if !has_xe && args.host.is_empty() && !qemu_img::is_dom0(&conf) && conf.optional("XE_SERVER").is_none() {
        let advice = "on a front-end whose drivers run on the hosts, name one: one-xcp doctor HOST";
        found.push(Finding::note("host", "this machine is not a pool's dom0", advice));
    }
    if !args.json {
        for finding in &found {
            report::say(&finding.line());
        }
    }
    let tried = if args.try_it { trial::run(caller, &args.host) } else { Ok(Vec::new()) };
    let steps = tried.as_deref().unwrap_or_default();
    if args.json {
        let lines = found.iter().map(Finding::json).chain(steps.iter().map(trial::Step::json));
        report::say(&text::array(&lines.collect::<Vec<_>>()));
    } else {
        for step in steps {
            report::say(&step.line());
        }
    }
    if let Some(path) = &args.report {
        trial::bug_report::write(path, caller, &conf, &found, steps)?;
    }
    verdict(&found, steps)?;
    tried.map(|_| String::new())
}

/// Where the drivers run on the host, its doctor looks at it, and plays the life if that is wanted.
fn from_front_end(caller: &Caller, conf: &Conf, args: &Args, mut found: Vec<Finding>) -> Result<String> {
    let way = front_end::check(&args.host);
    let is_reached = way.iter().all(|finding| finding.level != Level::Mend);
    found.extend(way);
    let mut there = Vec::new();
    if is_reached {
        let options = [("--try", args.try_it), ("--json", args.json)];
        let options: Vec<&str> =
            options.iter().filter(|(_, is_wanted)| *is_wanted).map(|(word, _)| *word).collect();
        let (lines, verdict) = front_end::of_host(&args.host, &options);
        there = lines;
        found.push(verdict);
    }
    if let Some(path) = &args.report {
        found.push(front_end::report_is_made_there(&args.host));
        trial::bug_report::write(path, caller, conf, &found, &[])?;
    }
    if args.json {
        // It prints an object a line.
        let objects =
            there.iter().map(|line| line.trim_end_matches(',')).filter(|line| line.starts_with('{'));
        let lines = objects.map(str::to_owned).chain(found.iter().map(Finding::json));
        report::say(&text::array(&lines.collect::<Vec<_>>()));
    } else {
        for line in there.into_iter().chain(found.iter().map(Finding::line)) {
            report::say(&line);
        }
    }
    verdict(&found, &[])?;
    Ok(String::new())
}

fn verdict(found: &[Finding], steps: &[trial::Step]) -> Result<()> {
    let bad = found.iter().filter(|finding| finding.level == Level::Mend).count();
    let failed: Vec<&str> =
        steps.iter().filter(|step| step.verdict == trial::Verdict::Failed).map(|step| step.name).collect();
    if !failed.is_empty() {
        bail!("steps that failed: {}", failed.join(", "));
    }
    if bad > 0 {
        bail!("things that must be mended: {bad}");
    }
    Ok(())
}

/// All that `xe` can tell, if it is the right one and lets us in.
fn pool(xe: Result<(Finding, Xe)>, conf: &Conf, host: &str) -> Vec<Finding> {
    let (program, xe) = match xe {
        Ok(found) => found,
        Err(why) => return vec![Finding::mend("xe", format!("{why:#}"), "correct the settings")],
    };
    let mut found = vec![program];
    if found.iter().any(|finding| finding.level == Level::Mend) {
        return found;
    }
    let hosts = match hosts::look_up(&xe) {
        Ok(hosts) => hosts,
        Err(why) => {
            found.push(hosts::no_login(conf, &why));
            return found;
        }
    };
    if qemu_img::is_dom0(conf) && conf.optional("XE_SERVER").is_none() {
        found.extend(ssh::check(&hosts));
    }
    let checks: [Check<'_>; 4] = [
        Box::new(|| Ok(hosts::check(&hosts, conf, host))),
        Box::new(|| storage::check(&xe, conf, &hosts)),
        Box::new(|| networks::check(&xe, &hosts)),
        Box::new(|| guests::check(&xe, conf)),
    ];
    for (what, checked) in ["hosts", "storage", "networks", "guests"].into_iter().zip(look(&checks)) {
        match checked {
            Ok(findings) => found.extend(findings),
            Err(why) => found.push(Finding::mend(what, format!("{why:#}"), "see whether xe says so again")),
        }
    }
    found
}

type Check<'a> = Box<dyn Fn() -> Result<Vec<Finding>> + Sync + 'a>;

fn look(checks: &[Check<'_>]) -> Vec<Result<Vec<Finding>>> {
    parallel::map(checks, |check| check())
}

/// Several objects' names in one line, the first few of them.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
