//! The administrator's own probes: executables beside ours in `im/xcp-probes.d/KIND`.

use super::host::Host;
use crate::links;
use crate::one::template_text;
use crate::parallel;
use crate::process;
use crate::report::{Result, one_line};
use anyhow::{Context, anyhow, ensure};
use rustix::fs::{Access, access};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const BEACON: &str = "host/beacon";

/// What each of a folder's probes says, in the order of their names, with its path.
pub fn run(host: &Host, folder: &str) -> Vec<(PathBuf, Result<String>)> {
    run_with(host, folder, &[&host.id.to_string(), &host.name])
}

/// The same with other arguments after the driver's name.
pub fn run_with(host: &Host, folder: &str, words: &[&str]) -> Vec<(PathBuf, Result<String>)> {
    run_within(LIMIT, host, folder, words)
}

fn run_within(limit: Duration, host: &Host, folder: &str, words: &[&str]) -> Vec<(PathBuf, Result<String>)> {
    let Some(probes) = host.probes_folder() else { return Vec::new() };
    let probes = executables(&probes.join(folder), folder);
    let ask = |probe: &PathBuf| {
        let text = ask(host, probe, words, limit)?;
        // Nobody reads what a beacon says.
        if folder != BEACON {
            template_text::check(&text).context("what it prints is no template")?;
        }
        Ok(text)
    };
    let said = parallel::map(&probes, ask);
    probes.into_iter().zip(said).collect()
}

fn executables(path: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let ours = |path: &Path| {
        links::PROBES.iter().any(|(of, name)| *of == folder && path.file_name() == Some(name.as_ref()))
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && access(path.as_path(), Access::EXEC_OK).is_ok() && !ours(path))
        .collect();
    found.sort_unstable();
    found
}

/// With the arguments and the standard input that OpenNebula gives its own client's probes.
fn ask(host: &Host, probe: &Path, words: &[&str], limit: Duration) -> Result<String> {
    let mut command = Command::new(probe);
    command.arg(&host.im_mad).args(words);
    command.current_dir(probe.parent().context("a probe is in a folder")?);
    let (said, fed) = process::feed(&mut command, limit, host.stop.flag(), &|| (), |mut stdin| {
        match stdin.write_all(host.configuration.as_bytes()) {
            // It need not read it.
            Err(why) if why.kind() != ErrorKind::BrokenPipe => Err(why.into()),
            _ => Ok(()),
        }
    })?;
    fed?;
    ensure!(
        said.status.success(),
        anyhow!("{}: {}", said.status, one_line(&String::from_utf8_lossy(&said.stderr)))
    );
    let mut text = String::from_utf8_lossy(&said.stdout).replace("\r\n", "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Caller;
    use crate::one::MonitorConfiguration;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    #[test]
    fn one_that_hangs_is_ended_with_all_it_started_and_the_others_are_heard() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("im/xcp-probes.d/host/system");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("hangs", "#!/bin/sh\necho HALF=1\nsleep 300 &\necho $! >left\nsleep 300\n"),
            ("tells", "#!/bin/sh\necho RACK=7\n"),
            ("tells_no_end", "#!/bin/sh\nexec yes RACK=7\n"),
            ("warns", "#!/bin/sh\necho SLOT=3\necho warning: no sensor\n"),
        ] {
            fs::write(folder.join(name), text).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let text = include_str!("../../tests/recorded/opennebula-7.4/run_monitord_client/stdin");
        let configuration = MonitorConfiguration::parse(text).unwrap();
        let called_as = dir.path().join("im/xcp.d/monitord-client_control.sh");
        let caller = Caller { called_as, verbose: false };
        let host = Host::new(&caller, "xcp", "xcp-a", text.to_owned(), &configuration).unwrap();
        let start = Instant::now();
        let said = run_within(Duration::from_secs(2), &host, "host/system", &[]);
        assert!(start.elapsed() < Duration::from_secs(100));
        let [(_, hangs), (_, tells), (_, endless), (_, warns)] = said.as_slice() else { panic!("{said:?}") };
        assert!(hangs.as_ref().unwrap_err().to_string().contains("did not end within 2 s"), "{hangs:?}");
        assert_eq!(tells.as_deref().unwrap(), "RACK=7\n");
        assert!(endless.as_ref().unwrap_err().to_string().contains("signal: 13"), "{endless:?}");
        let why = format!("{:#}", warns.as_ref().unwrap_err());
        assert_eq!(why, "what it prints is no template: line 2 is not NAME=value");
        let left = fs::read_to_string(folder.join("left")).unwrap();
        let process = Path::new("/proc").join(left.trim()).join("cmdline");
        let is_gone = || fs::read(&process).map_or(true, |line| line.is_empty());
        while !is_gone() {
            assert!(start.elapsed() < Duration::from_secs(100));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
