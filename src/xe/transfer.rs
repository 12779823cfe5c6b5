//! A disk's bytes into and out of a VDI, as a stream through `xe`'s standard input and output: no copy of
//! them lies on the host's small disk.

use super::{Uuid, Xe, XeError, call};
use crate::process;
use crate::report::Result;
use anyhow::{Context, anyhow};
use std::process::{ChildStdin, ChildStdout};
use std::time::Instant;

/// How a disk's bytes are put for the way to XAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFormat {
    Raw,
    Vhd,
}

impl StreamFormat {
    fn word(self) -> &'static str {
        match self {
            StreamFormat::Raw => "raw",
            StreamFormat::Vhd => "vhd",
        }
    }
}

impl Xe {
    /// Sends what `write` writes into the VDI.
    ///
    /// `xe` uploads from whatever file it is given and takes the end of a pipe for the end of the disk
    /// (xapi newcli.ml:670).
    pub fn import<T: Send>(
        &self,
        vdi: &Uuid,
        format: StreamFormat,
        write: impl FnOnce(ChildStdin) -> Result<T> + Send,
    ) -> Result<T> {
        self.import_with(vdi, format, &|| (), write)
    }

    /// As [`Xe::import`]; `at_end` is run as soon as `xe` has ended, so that whoever `write` waits for can be told.
    pub fn import_with<T: Send>(
        &self,
        vdi: &Uuid,
        format: StreamFormat,
        at_end: &(dyn Fn() + Sync),
        write: impl FnOnce(ChildStdin) -> Result<T> + Send,
    ) -> Result<T> {
        let call =
            call("vdi-import").set("uuid", vdi).set("filename", "/dev/stdin").set("format", format.word());
        self.stop.check().with_context(|| format!("before {call}"))?;
        let start = Instant::now();
        let (said, written) =
            process::feed(&mut self.command(&call)?, self.transfer_limit, self.stop.flag(), at_end, write)
                .with_context(|| call.to_string())?;
        self.tell(&call, start, said.status.success());
        if !said.status.success() {
            let error =
                anyhow!(XeError::parse(&String::from_utf8_lossy(&said.stderr))).context(call.to_string());
            // Our own fault comes first: the pipe breaks because the file could not be read, not the reverse.
            return match written {
                Err(fault) if !is_broken_pipe(&fault) => Err(fault.context(call.to_string())),
                _ => Err(error),
            };
        }
        written.with_context(|| call.to_string())
    }

    /// Hands the VDI's content, a dynamic VHD, to `read`.
    pub fn export_vhd<T: Send>(
        &self,
        vdi: &Uuid,
        read: impl FnOnce(ChildStdout) -> Result<T> + Send,
    ) -> Result<T> {
        let call = call("vdi-export").set("uuid", vdi).set("filename", "").set("format", "vhd");
        self.stop.check().with_context(|| format!("before {call}"))?;
        let start = Instant::now();
        let (said, taken) =
            process::read(&mut self.command(&call)?, self.transfer_limit, self.stop.flag(), read)
                .with_context(|| call.to_string())?;
        self.tell(&call, start, said.status.success());
        if !said.status.success() {
            let error = XeError::parse(&String::from_utf8_lossy(&said.stderr));
            return match taken {
                // xe could not go on because we could not: the disk that is full is ours.
                Err(fault) if error.is_lost_connection() || said.stderr.trim_ascii().is_empty() => {
                    Err(fault.context(call.to_string()))
                }
                _ => Err(anyhow!(error)).context(call.to_string()),
            };
        }
        taken.with_context(|| call.to_string())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|why| why.kind() == std::io::ErrorKind::BrokenPipe)
}
