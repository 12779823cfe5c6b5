//! What the demo plays on: a simulated pool, the drivers' links and a VM's files.

use crate::report::{self, Result};
use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A simulated pool with the drivers' links and a VM's files.
pub struct Stage {
    pub folder: PathBuf,
    pub is_coloured: bool,
    pub steps: usize,
    xapi: Option<Child>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(xapi) = &mut self.xapi {
            _ = xapi.kill();
            _ = xapi.wait();
        }
    }
}

impl Stage {
    /// Makes all of it anew in a folder.
    pub fn set_up(folder: &Path) -> Result<Stage> {
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
        let stage = Stage { folder: folder.to_owned(), is_coloured, steps: 0, xapi: None };
        let vm = folder.join("datastores/0/1");
        image(
            &vm.join("disk.0"),
            5 << 20,
            &[(0, b"a guest's boot sector"), (3 << 20, b"and some of its files")],
        )?;
        image(&vm.join("disk.1"), 128 << 20, &[(4086, b"SWAPSPACE2")])?;
        image(&vm.join("disk.2"), 368 << 10, &[(32_769, b"CD001"), (32_808, b"CONTEXT")])?;
        image(&vm.join("disk.3"), 10 << 20, &[(1 << 20, b"more of the guest's files")])?;
        stage.quietly("one-xcp", ["sim", "init"])?;
        Ok(stage)
    }

    /// Lets a host of the pool answer over XAPI's socket too, where its measurements are.
    pub fn serve_xapi(&mut self, host: &str) -> Result<()> {
        let socket = self.xapi_socket();
        let mut command = self.command(self.folder.join("bin/one-xcp").as_os_str());
        command.args(["sim", "serve", "--host", host, "--socket"]).arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.xapi = Some(command.spawn().context("cannot serve the simulated XAPI")?);
        let end = Instant::now() + Duration::from_secs(5);
        while !socket.exists() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn xapi_socket(&self) -> PathBuf {
        self.folder.join("xapi")
    }

    /// Runs one of the programs in `bin` and gives back what it says.
    pub fn quietly(
        &self,
        program: &str,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String> {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let (answer, complaint, succeeded) =
            self.run(self.folder.join("bin").join(program).as_os_str(), &args, "")?;
        if !succeeded {
            bail!("{program} failed: {complaint}");
        }
        Ok(answer)
    }

    /// Runs a program; gives back its answer, its log, and whether it succeeded.
    pub fn run(
        &self,
        program: &OsStr,
        args: &[impl AsRef<OsStr>],
        stdin: &str,
    ) -> Result<(String, String, bool)> {
        let mut command = self.command(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes())?;
        }
        let said = child.wait_with_output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((text(said.stdout), text(said.stderr), said.status.success()))
    }

    /// A command that knows the pool, and nothing else of this machine's settings.
    fn command(&self, program: &OsStr) -> Command {
        let path = format!("{}:/usr/bin:/bin", self.folder.join("bin").display());
        let mut command = Command::new(program);
        command.env_clear().env("PATH", path).env("XE_SIM", self.folder.join("pool"));
        command.env("DATASTORE_LOCATION", self.folder.join("datastores")).env("CONSOLE", "no");
        command.env("XAPI_SOCKET", self.xapi_socket()).env("TMPDIR", &self.folder);
        command
    }
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
