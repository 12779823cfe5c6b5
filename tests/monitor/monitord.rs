//! onemonitord's side of the wire: one port for datagrams and connections.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; tests go on as soon as they have what they wait for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub kind: String,
    pub success: bool,
    pub host_id: u32,
    pub time: u64,
    pub text: String,
    pub by_tcp: bool,
}

pub struct Monitord {
    pub port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Monitord {
    pub fn new() -> Monitord {
        Monitord::with_key(None)
    }

    /// One that reads only what was encrypted with its public key.
    pub fn with_key(key: Option<RsaPrivateKey>) -> Monitord {
        loop {
            let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = tcp.local_addr().unwrap().port();
            if let Ok(udp) = UdpSocket::bind(("127.0.0.1", port)) {
                return Monitord::serve(tcp, udp, port, key);
            }
        }
    }

    /// The same one, after it was away.
    pub fn again(port: u16) -> Monitord {
        let tcp = TcpListener::bind(("127.0.0.1", port)).unwrap();
        Monitord::serve(tcp, UdpSocket::bind(("127.0.0.1", port)).unwrap(), port, None)
    }

    fn serve(tcp: TcpListener, udp: UdpSocket, port: u16, key: Option<RsaPrivateKey>) -> Monitord {
        let (key_of_connections, key_of_datagrams) = (key.clone(), key);
        let (got, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (messages, over) = (Arc::clone(&got), Arc::clone(&end));
        let connections = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = tcp.accept() else {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                if bytes.is_empty() {
                    // As onemonitord does.
                    continue;
                }
                messages.lock().unwrap().push(decode(&bytes, true, key_of_connections.as_ref()));
            }
        });
        let (messages, over) = (Arc::clone(&got), Arc::clone(&end));
        let datagrams = thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while !over.load(Ordering::Relaxed) {
                if let Ok(length) = udp.recv(&mut bytes) {
                    messages.lock().unwrap().push(decode(&bytes[..length], false, key_of_datagrams.as_ref()));
                }
            }
        });
        Monitord { port, got, end, threads: vec![connections, datagrams] }
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// How many have come so far, to wait for later ones.
    pub fn count(&self) -> usize {
        self.got().len()
    }

    /// Waits for a message of this kind with `part` in its text, later than the first `after`.
    #[track_caller]
    pub fn wait_for(&self, kind: &str, part: &str, after: usize) -> Got {
        let end = Instant::now() + PATIENCE;
        loop {
            let got = self.got();
            let found = got.iter().skip(after).find(|got| got.kind == kind && got.text.contains(part));
            if let Some(found) = found {
                return found.clone();
            }
            assert!(Instant::now() < end, "no {kind} with {part:?} came: {got:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Monitord {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            _ = thread.join();
        }
    }
}

fn decode(bytes: &[u8], by_tcp: bool, key: Option<&RsaPrivateKey>) -> Got {
    let text = std::str::from_utf8(bytes).unwrap();
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words.len(), 5, "{text}");
    let time: u64 = words[3].parse().unwrap();
    assert!(time > 1_600_000_000, "{text}");
    let mut plain = Vec::new();
    ZlibDecoder::new(STANDARD.decode(words[4]).unwrap().as_slice()).read_to_end(&mut plain).unwrap();
    if let Some(key) = key {
        let blocks = plain.chunks(key.size()).map(|block| key.decrypt(Pkcs1v15Encrypt, block).unwrap());
        plain = blocks.collect::<Vec<_>>().concat();
    }
    Got {
        kind: words[0].to_owned(),
        success: words[1] == "SUCCESS",
        host_id: words[2].parse().unwrap(),
        time,
        text: String::from_utf8(plain).unwrap(),
        by_tcp,
    }
}
