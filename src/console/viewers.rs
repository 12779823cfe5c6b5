//! The viewers of a console: how many there may be at once, and how often an address may try passwords. Newcomers
//! are never refused, others make room for them: those of the address that has most, so that fewer than 32 addresses
//! together cannot keep a viewer at another one out. A viewer that
//! went away without a word holds a place until somebody else wants it.

use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// At once: a colleague may look on.
const MAX_LOOKING: usize = 4;
/// Connected, and not let in yet: of one address, and of all.
const MAX_WAITING_OF_ADDRESS: usize = 4;
const MAX_WAITING: usize = 32;
/// Wrong passwords of one address within [`WRONG_COUNTS_FOR`].
const MAX_WRONG: usize = 4;
/// So trying passwords out takes years.
pub const WRONG_COUNTS_FOR: Duration = Duration::from_secs(2);

/// Those who are connected, the one who has been longest first.
#[derive(Default)]
pub struct Viewers {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    all: Vec<Viewer>,
    wrong: Vec<(IpAddr, Instant)>,
}

struct Viewer {
    number: u64,
    address: IpAddr,
    stream: TcpStream,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not let in yet.
    Waiting,
    Looking,
    /// Its stream is closed; its thread ends.
    ShownOut,
}

impl Viewers {
    /// Takes in a new connection; false if it is gone already.
    pub fn arrive(&self, number: u64, stream: &TcpStream) -> bool {
        let (Ok(stream), Ok(peer)) = (stream.try_clone(), stream.peer_addr()) else { return false };
        let address = network_of(peer);
        let mut inner = self.inner();
        inner.make_room_to_wait(address);
        inner.all.push(Viewer { number, address, stream, stage: Stage::Waiting });
        true
    }

    /// It has been let in.
    pub fn let_in(&self, number: u64) {
        let mut inner = self.inner();
        let looking = |viewer: &Viewer| viewer.stage == Stage::Looking;
        let surplus =
            (inner.all.iter().filter(|viewer| looking(viewer)).count() + 1).saturating_sub(MAX_LOOKING);
        inner.all.iter_mut().filter(|viewer| looking(viewer)).take(surplus).for_each(Viewer::show_out);
        let let_in = |viewer: &&mut Viewer| viewer.number == number && viewer.stage == Stage::Waiting;
        inner.all.iter_mut().filter(let_in).for_each(|viewer| viewer.stage = Stage::Looking);
    }

    /// It is gone.
    pub fn leave(&self, number: u64) {
        self.inner().all.retain(|viewer| viewer.number != number);
    }

    /// Whether this viewer's address may try a password now.
    pub fn may_try(&self, number: u64) -> bool {
        let mut inner = self.inner();
        inner.forget_old();
        let address = inner.all.iter().find(|viewer| viewer.number == number).map(|viewer| viewer.address);
        inner.wrong.iter().filter(|(wrong, _)| Some(*wrong) == address).count() < MAX_WRONG
    }

    /// It gave a wrong password.
    pub fn was_wrong(&self, number: u64) {
        let mut inner = self.inner();
        inner.forget_old();
        let address = inner.all.iter().find(|viewer| viewer.number == number).map(|viewer| viewer.address);
        inner.wrong.extend(address.map(|address| (address, Instant::now())));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_old(&mut self) {
        self.wrong.retain(|(_, when)| when.elapsed() < WRONG_COUNTS_FOR);
    }

    /// Shows out the oldest of the same address, if it has too many, or else of the address that has most.
    fn make_room_to_wait(&mut self, address: IpAddr) {
        if self.waiting(address) >= MAX_WAITING_OF_ADDRESS {
            self.show_out_oldest(address);
        }
        let waiting = |viewer: &&Viewer| viewer.stage == Stage::Waiting;
        if self.all.iter().filter(waiting).count() >= MAX_WAITING {
            let addresses = self.all.iter().filter(waiting).map(|viewer| viewer.address);
            // Of several the one who came first.
            let most = addresses.rev().max_by_key(|address| self.waiting(*address));
            if let Some(address) = most {
                self.show_out_oldest(address);
            }
        }
    }

    fn waiting(&self, address: IpAddr) -> usize {
        self.all.iter().filter(|viewer| viewer.is_waiting_at(address)).count()
    }

    fn show_out_oldest(&mut self, address: IpAddr) {
        if let Some(oldest) = self.all.iter_mut().find(|viewer| viewer.is_waiting_at(address)) {
            oldest.show_out();
        }
    }
}

impl Viewer {
    fn is_waiting_at(&self, address: IpAddr) -> bool {
        self.stage == Stage::Waiting && self.address == address
    }

    fn show_out(&mut self) {
        // Its own thread sees it and ends.
        _ = self.stream.shutdown(Shutdown::Both);
        self.stage = Stage::ShownOut;
    }
}

/// The address that counts: of IPv6 the network, as one machine has all of it.
fn network_of(peer: SocketAddr) -> IpAddr {
    match peer.ip().to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    /// A viewer of an address, and the other end of its connection.
    fn arrive(viewers: &Viewers, number: u64, address: &str) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let viewer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let address = address.parse().unwrap();
        viewers.inner().make_room_to_wait(address);
        viewers.inner().all.push(Viewer { number, address, stream, stage: Stage::Waiting });
        viewer
    }

    fn is_shown_out(mut viewer: &TcpStream) -> bool {
        viewer.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        matches!(viewer.read(&mut [0]), Ok(0))
    }

    #[test]
    fn a_flood_from_elsewhere_shows_nobody_out() {
        let viewers = Viewers::default();
        let right = arrive(&viewers, 0, "10.0.0.1");
        let flood: Vec<_> = (1..=100).map(|number| arrive(&viewers, number, "10.0.0.2")).collect();
        assert!(!is_shown_out(&right));
        assert!(flood[..96].iter().all(is_shown_out) && !flood[96..].iter().any(is_shown_out));
        // From several addresses: each has more connections than the right viewer.
        let many: Vec<_> =
            (200..600).map(|number| arrive(&viewers, number, &format!("10.1.0.{}", number % 12))).collect();
        assert!(!is_shown_out(&right));
        let left = flood.iter().chain(&many).filter(|viewer| !is_shown_out(viewer)).count();
        assert_eq!(left, MAX_WAITING - 1);
    }

    #[test]
    fn wrong_passwords_count_for_their_address_and_for_a_while() {
        let viewers = Viewers::default();
        let _open = [arrive(&viewers, 1, "10.0.0.1"), arrive(&viewers, 2, "10.0.0.2")];
        for _ in 0..MAX_WRONG {
            assert!(viewers.may_try(1));
            viewers.was_wrong(1);
        }
        assert!(!viewers.may_try(1) && viewers.may_try(2));
        let past = Instant::now().checked_sub(WRONG_COUNTS_FOR).unwrap();
        viewers.inner().wrong.iter_mut().for_each(|(_, when)| *when = past);
        assert!(viewers.may_try(1));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("[2001:db8:1:2:3:4:5:6]:1"), of("[2001:db8:1:2::9]:2"));
        assert_ne!(of("[2001:db8:1:3::9]:1"), of("[2001:db8:1:2::9]:2"));
        assert_eq!(of("[::ffff:10.0.0.1]:1"), of("10.0.0.1:2"));
    }
}
