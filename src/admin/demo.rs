//! `one-xcp demo`: a whole VM life on a simulated two-host pool, each step as OpenNebula would run it, and
//! what `xe` was asked.

use crate::report::{self, Result};
use anyhow::{Context, bail, ensure};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

mod steps;

/// Run a VM's whole life on a simulated pool of two hosts, and show each step.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Leave the pool, the links and the VM's files in place, and tell how to go on with them
    #[arg(long)]
    keep: bool,
}

pub fn run(args: &Args) -> Result<String> {
    let folder =
        tempfile::Builder::new().prefix("one-xcp-demo-").tempdir().context("cannot make a folder")?;
    let mut stage = Stage::set_up(folder.path())?;
    steps::play(&mut stage)?;
    if args.keep {
        let folder = folder.keep();
        stage.say("");
        stage.say(&format!("Kept in {}. To go on with it:", folder.display()));
        stage.say(&format!(
            "  export XE_SIM={0}/pool DATASTORE_LOCATION={0}/datastores PATH={0}/bin:$PATH",
            folder.display()
        ));
        let deployment_file = folder.join("datastores/0/1/deployment.0");
        fs::write(&deployment_file, steps::DEPLOYMENT)?;
        stage.say("  xe vm-list");
        stage.say(&format!(
            "  {}/remotes/vmm/xcp/deploy {} xcp-a",
            folder.display(),
            deployment_file.display()
        ));
        stage.say("  one-xcp sim --help");
    }
    Ok(String::new())
}

/// A simulated pool with the drivers' links and a VM's files.
pub struct Stage {
    folder: PathBuf,
    is_coloured: bool,
    steps: usize,
}

impl Stage {
    fn set_up(folder: &Path) -> Result<Stage> {
        let program = std::env::current_exe().context("cannot find this program")?;
        for below in ["bin", "datastores/0/1"] {
            fs::create_dir_all(folder.join(below))?;
        }
        symlink(&program, folder.join("bin/xe"))?;
        symlink(&program, folder.join("bin/one-xcp"))?;
        for link in crate::links::all() {
            let link = folder.join("remotes").join(link);
            fs::create_dir_all(link.parent().unwrap_or(folder))?;
            symlink(&program, link)?;
        }
        let is_coloured = report::is_read_by_a_person() && std::env::var_os("NO_COLOR").is_none();
        let stage = Stage { folder: folder.to_owned(), is_coloured, steps: 0 };
        let vm = folder.join("datastores/0/1");
        image(
            &vm.join("disk.0"),
            5 << 20,
            &[(0, b"a guest's boot sector"), (3 << 20, b"and some of its files")],
        )?;
        image(&vm.join("disk.1"), 128 << 20, &[(4086, b"SWAPSPACE2")])?;
        image(&vm.join("disk.2"), 368 << 10, &[(32_769, b"CD001"), (32_808, b"CONTEXT")])?;
        stage.quietly("one-xcp", ["sim", "init"])?;
        Ok(stage)
    }

    /// Prints a heading.
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        self.say("");
        self.say(&self.painted("1;36", &format!("{}. {title}", self.steps)));
    }

    /// Runs one command line as OpenNebula would, shows it, its answer, and the calls of `xe` it made.
    pub fn show(&self, script: &str, args: &[&str], stdin: &str) -> Result<String> {
        self.quietly("one-xcp", ["sim", "log", "--clear"])?;
        let shown_stdin = if stdin.is_empty() { "" } else { " <<< \"$XML\"" };
        self.say(&self.painted("1", &format!("$ {script} {}{shown_stdin}", args.join(" "))));
        let start = Instant::now();
        let (answer, log, succeeded) =
            self.run(self.folder.join("remotes").join(script).as_os_str(), args, stdin)?;
        let took_ms = start.elapsed().as_millis();
        log.lines().for_each(|line| self.say(&self.painted("33", line)));
        ensure!(succeeded, "{script} failed");
        answer.lines().for_each(|line| self.say(line));
        let calls = self.quietly("one-xcp", ["sim", "log"])?;
        self.say(&self.painted("2", &format!("  {took_ms} ms, {} calls of xe:", calls.lines().count())));
        for call in calls.lines() {
            self.say(&self.painted("2", &format!("  {}", shortened(call))));
        }
        Ok(answer.trim().to_owned())
    }

    /// Asks the pool directly, and shows what it says.
    pub fn ask(&self, args: &[&str]) -> Result<String> {
        self.say(&self.painted("1", &format!("$ xe {}", args.join(" "))));
        let answer = self.quietly("xe", args)?;
        answer.lines().for_each(|line| self.say(line));
        Ok(answer.trim().to_owned())
    }

    fn quietly(&self, program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let (answer, complaint, succeeded) =
            self.run(self.folder.join("bin").join(program).as_os_str(), &args, "")?;
        if !succeeded {
            bail!("{program} failed: {complaint}");
        }
        Ok(answer)
    }

    fn run(
        &self,
        program: &OsStr,
        args: &[impl AsRef<OsStr>],
        stdin: &str,
    ) -> Result<(String, String, bool)> {
        let path = format!("{}:/usr/bin:/bin", self.folder.join("bin").display());
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", path).env("XE_SIM", self.folder.join("pool"));
        command.env("DATASTORE_LOCATION", self.folder.join("datastores")).env("CONSOLE", "no");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes())?;
        }
        let said = child.wait_with_output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((text(said.stdout), text(said.stderr), said.status.success()))
    }

    pub fn say(&self, line: &str) {
        report::say(line);
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A line of the log, `start_ms duration_ms exit verb args…`, as its duration and the call, cut to a line.
fn shortened(call: &str) -> String {
    let mut words = call.splitn(4, ' ').skip(1);
    let took_ms: f64 = words.next().and_then(|ms| ms.parse().ok()).unwrap_or_default();
    let line = words.nth(1).unwrap_or_default().trim_end_matches(" --trace");
    let short: String = line.chars().take(100).collect();
    let dots = if short.len() < line.len() { "…" } else { "" };
    format!("{took_ms:>6.0} ms  xe {short}{dots}")
}

/// A sparse file with a few bytes in it.
fn image(path: &Path, size_bytes: u64, pieces: &[(u64, &[u8])]) -> Result<()> {
    let file = File::create(path)?;
    file.set_len(size_bytes)?;
    for (at, bytes) in pieces {
        file.write_all_at(bytes, *at)?;
    }
    Ok(())
}
