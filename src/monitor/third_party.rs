//! The administrator's own probes: executables beside ours in `im/xcp-probes.d/KIND`.

use super::host::Host;
use crate::links;
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

/// What each of a folder's probes says, in the order of their names, with its path.
pub fn run(host: &Host, folder: &str) -> Vec<(PathBuf, Result<String>)> {
    run_with(host, folder, &[&host.id.to_string(), &host.name])
}

/// The same with other arguments after the driver's name.
pub fn run_with(host: &Host, folder: &str, words: &[&str]) -> Vec<(PathBuf, Result<String>)> {
    let Some(probes) = host.probes_folder() else { return Vec::new() };
    let probes = executables(&probes.join(folder), folder);
    let said = parallel::map(&probes, |probe| ask(host, probe, words));
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
fn ask(host: &Host, probe: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(probe);
    command.arg(&host.im_mad).args(words);
    command.current_dir(probe.parent().context("a probe is in a folder")?);
    let (said, fed) = process::feed(&mut command, LIMIT, host.stop.flag(), &|| (), |mut stdin| {
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
    let mut text = String::from_utf8_lossy(&said.stdout).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
