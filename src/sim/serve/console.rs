//! `CONNECT /console?uuid=…`: a VM's screen, or the text console of a VM that has none (xapi console.ml).

use super::answer::{Status, internal};
use super::request::{Request, is_pause};
use super::{Server, Stream, rfb};
use crate::sim::pool::Pool;
use crate::sim::row::{Class, Row};
use std::io::{self, ErrorKind, Read as _, Write as _};

/// The console that was asked for.
pub struct Found {
    vm: String,
    is_text: bool,
}

/// Finds the console by its own uuid or its VM's, where it is the first that speaks RFB. The simulator has no
/// references: `ref` takes a uuid too.
pub fn find(server: &Server, request: &Request) -> Result<Found, Status> {
    let failure = || internal("Console.Failure");
    let uuid = request.query("uuid").or_else(|| request.query("ref")).ok_or_else(failure)?;
    server.look(|pool| look_up(pool, &server.host, uuid))?
}

fn look_up(pool: &Pool, host: &str, uuid: &str) -> Result<Found, Status> {
    let failure = || internal("Console.Failure");
    let console = match pool.find(Class::Vm, uuid) {
        Some(_) => default_of_vm(pool, uuid).ok_or_else(failure)?,
        None => pool.find(Class::Console, uuid).ok_or_else(|| {
            internal(&format!(
                "Db_exn.Read_missing_uuid(&quot;console&quot;, &quot;&quot;, &quot;{uuid}&quot;)"
            ))
        })?,
    };
    let vm = console.get("vm-uuid").to_owned();
    let row = pool.find(Class::Vm, &vm).ok_or_else(failure)?;
    if row.get("power-state") != "running" || row.get("resident-on") != host {
        return Err(failure());
    }
    Ok(Found { vm, is_text: console.get("protocol") != "RFB" })
}

fn default_of_vm<'p>(pool: &'p Pool, vm: &str) -> Option<&'p Row> {
    pool.referring(Class::Console, "vm-uuid", vm).into_iter().find(|console| console.get("protocol") == "RFB")
}

/// Says yes, and is the console until the viewer goes or the VM is no longer here.
pub fn serve(server: &Server, mut stream: Box<dyn Stream>, found: &Found) {
    let said = stream
        .write_all(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\n");
    if said.and_then(|()| stream.flush()).is_err() {
        return;
    }
    let is_there = || {
        let found = server.look(|pool| {
            let vm = pool.find(Class::Vm, &found.vm);
            vm.is_some_and(|vm| vm.get("power-state") == "running" && vm.get("resident-on") == server.host)
        });
        found.unwrap_or(false)
    };
    let mut viewer = Viewer { stream, is_there: &is_there };
    _ = if found.is_text { text(&mut viewer) } else { rfb::serve(&mut viewer, &found.vm) };
}

/// Who looks at a console.
pub struct Viewer<'c> {
    stream: Box<dyn Stream>,
    is_there: &'c dyn Fn() -> bool,
}

impl Viewer<'_> {
    /// Reads what has come, at least a byte.
    fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(into) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(why) if is_pause(&why) => {
                    if !(self.is_there)() {
                        return Err(ErrorKind::NotConnected.into());
                    }
                }
                other => return other,
            }
        }
    }

    /// Reads so many bytes.
    pub fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += self.read_some(rest)?;
        }
        Ok(())
    }

    /// Reads so many bytes and forgets them.
    pub fn skip(&mut self, mut count: usize) -> io::Result<()> {
        let mut bytes = [0; 4096];
        while count > 0 {
            let part = count.min(bytes.len());
            self.fill(bytes.get_mut(..part).unwrap_or_default())?;
            count -= part;
        }
        Ok(())
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}

/// A getty that echoes.
fn text(viewer: &mut Viewer<'_>) -> io::Result<()> {
    viewer.write(b"\r\nlogin: ")?;
    let mut typed = [0; 512];
    loop {
        let count = viewer.read_some(&mut typed)?;
        viewer.write(typed.get(..count).unwrap_or_default())?;
    }
}
