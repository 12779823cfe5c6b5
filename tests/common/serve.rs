//! XAPI's HTTP of the simulated pool, served while a test runs.

use super::{Host, PROGRAM};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running `sim serve`, ended when dropped.
pub struct Serving {
    child: Child,
    pub socket: PathBuf,
    /// With TLS: its port on this machine.
    pub port: u16,
    /// With TLS: its certificate's, as openssl prints it.
    pub fingerprint: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A port that nobody listens on, for now.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Host {
    /// Serves the socket of one of the pool's hosts, where `XAPI_SOCKET=…/xapi-HOST` has the drivers look for it.
    pub fn serve(&self, host: &str) -> Serving {
        let socket = self.path(&format!("xapi-{host}"));
        let child = self.serving(&["--socket", socket.to_str().unwrap(), "--host", host]);
        eventually("it listens", || UnixStream::connect(&socket).is_ok());
        Serving { child, socket, port: 0, fingerprint: String::new() }
    }

    /// Serves TLS with a certificate of its own making for `localhost`, which is left in `cert.pem`.
    pub fn serve_tls(&self, host: &str) -> Serving {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(self.path("cert.pem"), made.cert.pem()).unwrap();
        fs::write(self.path("xapi-ssl.pem"), made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
        let digest = Sha256::digest(made.cert.der());
        let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        let port = free_port();
        let (address, file) = (format!("127.0.0.1:{port}"), self.path("xapi-ssl.pem"));
        let child =
            self.serving(&["--tcp", &address, "--certificate", file.to_str().unwrap(), "--host", host]);
        eventually("it listens", || TcpStream::connect(&address).is_ok());
        Serving { child, socket: PathBuf::new(), port, fingerprint }
    }

    fn serving(&self, args: &[&str]) -> Child {
        let mut command = self.command(PROGRAM);
        command.args(["sim", "serve"]).args(args).stdin(Stdio::null());
        command.spawn().unwrap()
    }
}
