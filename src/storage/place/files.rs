//! What is done with files and folders on hosts: by a shell there, on this machine or over ssh.

use super::Place;
use crate::process;
use crate::report::{self, Result};
use crate::ssh;
use anyhow::{Context, bail, ensure};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// For a command that moves next to nothing.
const LIMIT: Duration = Duration::from_secs(120);
/// The exit status by which our own command lines say that a file is not there.
const NOT_THERE: i32 = 44;
/// How names of files begin that do not go with their folder.
pub const PASSING: &str = ".one-xcp-";

impl Place {
    /// A shell's command line, ready to run on the host.
    pub fn command(&self, line: &str) -> Command {
        if ssh::is_here(&self.host) {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            return command;
        }
        ssh::command(&self.host, line)
    }

    fn run(&self, line: &str) -> Result<(i32, String)> {
        let said =
            process::output(&mut self.command(line), LIMIT).with_context(|| format!("on {}", self.host))?;
        let code = said.status.code().unwrap_or(-1);
        if code != 0 && code != NOT_THERE {
            bail!("on {}: {}", self.host, report::one_line(&String::from_utf8_lossy(&said.stderr)));
        }
        Ok((code, String::from_utf8_lossy(&said.stdout).into_owned()))
    }

    fn quoted(&self) -> String {
        ssh::quoted(&self.path)
    }

    /// The file's text; none if it is not there. Only its beginning is read: what names a VDI is short.
    pub fn read(&self) -> Result<Option<String>> {
        let line = format!("[ -e {0} ] || exit {NOT_THERE}; head -c 200 {0}", self.quoted());
        let (code, text) = self.run(&line).with_context(|| format!("cannot read {self}"))?;
        Ok((code == 0).then_some(text))
    }

    /// Puts one line into the file, beside it first, so that it is never half there.
    pub fn write(&self, text: &str) -> Result<()> {
        let new = ssh::quoted(&format!("{}/.{}.new", self.folder(), self.name()));
        let line = format!(
            "mkdir -p {} && printf '%s\\n' {} > {new} && mv -f {new} {}",
            ssh::quoted(self.folder()),
            ssh::quoted(text),
            self.quoted()
        );
        match self.run(&line) {
            // Only the answer was lost.
            Err(_) if self.read().is_ok_and(|now| now.is_some_and(|now| now.trim_end() == text)) => Ok(()),
            other => other.map(drop).with_context(|| format!("cannot write {self}")),
        }
    }

    /// Puts all that `write` writes into the file, beside it first, and waits until it is on disk. Zeros take no
    /// room there.
    pub fn fill(
        &self,
        limit: Duration,
        stop: &AtomicBool,
        write: impl FnOnce(ChildStdin) -> Result<()> + Send,
    ) -> Result<()> {
        let new = ssh::quoted(&format!("{}/.{}.new", self.folder(), self.name()));
        let line = format!(
            "umask 077; mkdir -p {} && dd of={new} bs=64k iflag=fullblock conv=sparse,fsync status=none || \
             {{ rm -f {new}; exit 1; }}",
            ssh::quoted(self.folder())
        );
        let (said, written) = process::feed(&mut self.command(&line), limit, stop, &|| (), write)?;
        let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
        ensure!(said.status.success(), "cannot write {self}: {complaint}");
        match written {
            Ok(()) => self.run(&format!("mv -f {new} {}", self.quoted())).map(drop),
            Err(error) => {
                self.run(&format!("rm -f {new}"))?;
                Err(error)
            }
        }
    }

    /// Removes the file or folder. One that is gone is success.
    pub fn remove(&self) -> Result<()> {
        self.run(&format!("rm -rf {}", self.quoted()))
            .map(drop)
            .with_context(|| format!("cannot remove {self}"))
    }

    /// Whether both names lead to the same folder: hosts may share a file system. Told by a file put into one and
    /// looked for in the other.
    pub fn is_same_as(&self, other: &Place) -> Result<bool> {
        if self.host == other.host {
            return Ok(self.path == other.path);
        }
        // Of this folder, so that what a killed script has left goes the next time.
        let probe = format!("{}/.{}.probe", other.folder(), other.name());
        let made = format!("mkdir -p {} && : > {}", ssh::quoted(other.folder()), ssh::quoted(&probe));
        let made = other.run(&made);
        let seen = self.run(&format!("[ -e {} ] || exit {NOT_THERE}", ssh::quoted(&probe)));
        let removed = other.run(&format!("rm -f {}", ssh::quoted(&probe)));
        made?;
        removed?;
        Ok(seen?.0 == 0 && self.path == other.path)
    }

    /// Whether there is such a folder.
    pub fn is_folder(&self) -> Result<bool> {
        Ok(self.run(&format!("[ -d {} ] || exit {NOT_THERE}", self.quoted()))?.0 == 0)
    }

    /// Whether there is such a file or folder.
    pub fn is_there(&self) -> Result<bool> {
        Ok(self.run(&format!("[ -e {} ] || exit {NOT_THERE}", self.quoted()))?.0 == 0)
    }

    /// Copies the folder to `to`, which takes the place of what is there only when it is whole and on disk. The bytes
    /// go through this machine: hosts need not know each other. Files of the names that [`PASSING`] matches stay.
    pub fn copy_folder(&self, to: &Place, limit: Duration, stop: Option<&AtomicBool>) -> Result<()> {
        let new = ssh::quoted(&format!("{}/.{}.new", to.folder(), to.name()));
        let copied = self.pack_to(to, &new, limit, stop);
        if copied.is_err() {
            _ = to.run(&format!("rm -rf {new}"));
        }
        copied?;
        to.run(&format!("sync; rm -rf {0} && mv {new} {0}", to.quoted()))
            .map(drop)
            .with_context(|| format!("cannot write {to}"))
    }

    fn pack_to(&self, to: &Place, new: &str, limit: Duration, stop: Option<&AtomicBool>) -> Result<()> {
        let pack = format!("tar -C {} --exclude './{PASSING}*' --sparse -cf - .", self.quoted());
        let unpack = format!("rm -rf {new} && mkdir -p {new} && tar -C {new} --sparse -xf -");
        let mut packing = self
            .command(&pack)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot read {self}"))?;
        let stdout = packing.stdout.take().context("no pipe to read from")?;
        let unpacked = process::output_from(&mut to.command(&unpack), stdout.into(), limit, stop);
        let packed = packing.wait()?;
        let said = unpacked.with_context(|| format!("cannot write {to}"))?;
        let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
        ensure!(said.status.success(), "cannot write {to}: {complaint}");
        ensure!(packed.success(), "cannot read {self}");
        Ok(())
    }
}
