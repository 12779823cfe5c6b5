//! Bytes both ways between a viewer and XAPI's console, with a little room each way: who does not read is not
//! written to, and the other side is not read.

use crate::report::Result;
use crate::xapi::Connection;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Room each way. A screen's update is larger, and comes in pieces.
const ROOM: usize = 16 << 10;
/// How long a viewer may take for the last of it.
const FAREWELL: Duration = Duration::from_secs(5);

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Viewer,
    Console,
}

/// One way.
struct Way {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Way {
    fn new() -> Way {
        Way { bytes: vec![0; ROOM], start: 0, end: 0 }
    }

    fn has_room(&self) -> bool {
        self.end < self.bytes.len()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Reads what there is; true if something came. An end is an error.
    fn fill(&mut self, from: &mut impl Read) -> io::Result<bool> {
        let Some(room) = self.bytes.get_mut(self.end..).filter(|room| !room.is_empty()) else {
            return Ok(false);
        };
        match from.read(room) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(why) => passing(why),
        }
    }

    /// Writes what it can; true if something went.
    fn drain(&mut self, to: &mut impl Write) -> io::Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        match to.write(self.left()) {
            Ok(count) => {
                self.start += count;
                if self.is_empty() {
                    (self.start, self.end) = (0, 0);
                }
                Ok(count > 0)
            }
            Err(why) => passing(why),
        }
    }

    fn left(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

fn passing(why: io::Error) -> io::Result<bool> {
    match why.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(false),
        _ => Err(why),
    }
}

/// Runs until one side goes.
pub fn run(viewer: &mut TcpStream, console: &mut Connection) -> Result<End> {
    viewer.set_nonblocking(true)?;
    console.never_wait()?;
    let (mut to_viewer, mut to_console) = (Way::new(), Way::new());
    loop {
        let mut moved = false;
        match to_viewer.fill(console) {
            Ok(some) => moved |= some,
            Err(_) => return farewell(viewer, &to_viewer),
        }
        let from_viewer = (to_viewer.drain(viewer), to_console.fill(viewer));
        let (Ok(out), Ok(come)) = from_viewer else { return Ok(End::Viewer) };
        let Ok(gone) = to_console.drain(console) else { return Ok(End::Console) };
        if console.has_unsent() && console.flush().is_err_and(|why| why.kind() != ErrorKind::WouldBlock) {
            return Ok(End::Console);
        }
        moved |= out || come || gone;
        if !moved && let Some(end) = wait(viewer, console, &to_viewer, &to_console)? {
            return Ok(end);
        }
    }
}

/// Waits until something can move; an end where a side is gone for good.
fn wait(viewer: &TcpStream, console: &Connection, to_viewer: &Way, to_console: &Way) -> Result<Option<End>> {
    let interest = |reads: bool, writes: bool| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, reads);
        flags.set(PollFlags::OUT, writes);
        flags
    };
    let viewers = interest(to_console.has_room(), !to_viewer.is_empty());
    let consoles = interest(to_viewer.has_room(), !to_console.is_empty() || console.has_unsent());
    let mut fds = [PollFd::new(viewer, viewers), PollFd::new(console, consoles)];
    match poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(why) => return Err(why.into()),
    }
    let [viewer, console] = fds;
    let gone = PollFlags::HUP | PollFlags::ERR;
    if viewer.revents().intersects(gone) {
        return Ok(Some(End::Viewer));
    }
    // With room its last words are read first.
    Ok((console.revents().intersects(gone) && !to_viewer.has_room()).then_some(End::Console))
}

/// The console is gone: the viewer gets what it said last.
fn farewell(viewer: &mut TcpStream, to_viewer: &Way) -> Result<End> {
    viewer.set_nonblocking(false)?;
    viewer.set_write_timeout(Some(FAREWELL))?;
    _ = viewer.write_all(to_viewer.left());
    Ok(End::Console)
}
