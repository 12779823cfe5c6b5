//! The viewers of a console: how many there may be at once. A viewer that went away without a word holds a
//! place until somebody else wants it.

use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, PoisonError};

/// At once: a colleague may look on.
const MAX_LOOKING: usize = 4;
/// Connected, and not let in yet.
const MAX_AT_THE_DOOR: usize = 8;
/// With those on their way out; beyond that nobody is let near.
const MAX_ALL: usize = 64;

/// Those who are connected, the one who has been longest first.
#[derive(Default)]
pub struct Viewers {
    all: Mutex<Vec<Viewer>>,
}

struct Viewer {
    number: u64,
    stream: TcpStream,
    is_looking: bool,
}

impl Viewers {
    /// Takes in a new connection; false if there are too many.
    pub fn arrive(&self, number: u64, stream: &TcpStream) -> bool {
        let Ok(stream) = stream.try_clone() else { return false };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_ALL {
            return false;
        }
        make_room(&all, false, MAX_AT_THE_DOOR);
        all.push(Viewer { number, stream, is_looking: false });
        true
    }

    /// It has been let in.
    pub fn let_in(&self, number: u64) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&all, true, MAX_LOOKING);
        all.iter_mut().filter(|viewer| viewer.number == number).for_each(|viewer| viewer.is_looking = true);
    }

    /// It is gone.
    pub fn leave(&self, number: u64) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).retain(|viewer| viewer.number != number);
    }
}

/// Shows those out who have been longest, so that one more fits.
fn make_room(all: &[Viewer], is_looking: bool, max: usize) {
    let those: Vec<&Viewer> = all.iter().filter(|viewer| viewer.is_looking == is_looking).collect();
    for viewer in those.iter().take((those.len() + 1).saturating_sub(max)) {
        // Its own thread sees it and ends.
        _ = viewer.stream.shutdown(Shutdown::Both);
    }
}
