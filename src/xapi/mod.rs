//! XAPI's HTTP handlers, for the two things that `xe` cannot give: what is measured of all VMs at once, and
//! consoles. On the host they are asked over XAPI's own socket, which lets root in (xapi_http.ml
//! `with_context`); from elsewhere over TLS.

pub mod connection;
mod head;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod trust;

pub use connection::Connection;
pub use head::Refused;
pub use trust::Trust;

use crate::report::Result;
use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// XAPI answers at once, or its toolstack is restarting.
const LIMIT: Duration = Duration::from_secs(20);

/// Where one host's XAPI is.
#[derive(Clone, Debug)]
pub enum Xapi {
    /// Its socket on this machine.
    Socket(PathBuf),
    /// Another machine.
    Server(Server),
}

/// A host over the network.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name or address.
    pub name: String,
    pub port: u16,
    /// User name and password on two lines, as `xe -pwf` takes them.
    pub password_file: Option<PathBuf>,
    pub trust: Trust,
}

/// Connects to a server, and ends the connection when it has shown a good certificate and has its key.
pub fn check_certificate(name: &str, port: u16, trust: &Trust) -> Result<()> {
    tls::connect(name, port, trust, LIMIT).map(drop)
}

impl Xapi {
    /// Asks for a document; gives back its text as it comes, at most so many bytes.
    pub fn get(&self, target: &str, max_bytes: u64) -> Result<impl BufRead + use<>> {
        let (connection, length) = self.ask("GET", target).with_context(|| format!("cannot ask {self}"))?;
        Ok(BufReader::new(connection.take(length.unwrap_or(max_bytes).min(max_bytes))))
    }

    /// Connects to the console of a VM, or to one console, by its uuid. What is read and written from here on is
    /// the console's.
    pub fn console(&self, uuid: &str) -> Result<Connection> {
        let asked = self.ask("CONNECT", &format!("/console?uuid={uuid}"));
        Ok(asked.with_context(|| format!("{self} gives no console of {uuid}"))?.0)
    }

    /// Sends a request and reads the head of its answer, not a byte more; gives back the length of what follows,
    /// if the head says so.
    fn ask(&self, method: &str, target: &str) -> Result<(Connection, Option<u64>)> {
        let (mut connection, login) = match self {
            Xapi::Socket(path) => (Connection::Socket(UnixStream::connect(path)?), String::new()),
            Xapi::Server(server) => {
                let login = server.login()?;
                (tls::connect(&server.name, server.port, &server.trust, LIMIT)?, login)
            }
        };
        connection.limit(Some(LIMIT))?;
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        // Metrics come as XML or JSON, whichever the client prefers (xcp-rrdd rrdd_http_handler.ml `client_prefers_json`).
        let accept = if method == "GET" { "Accept: text/xml\r\n" } else { "" };
        let request = format!("{method} {target} HTTP/1.0\r\n{login}{accept}User-Agent: one-xcp\r\n\r\n");
        connection.write_all(request.as_bytes())?;
        connection.flush()?;
        let length = head::read(&mut connection)?;
        Ok((connection, length))
    }
}

impl Server {
    /// The header that logs in. It is made for each request and kept nowhere.
    fn login(&self) -> Result<String> {
        let Some(file) = &self.password_file else {
            bail!("XE_PASSWORD_FILE is not set: {} lets nobody in without a password", self.name)
        };
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read XE_PASSWORD_FILE {}", file.display()))?;
        let mut lines = text.lines();
        let (user, password) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        ensure!(
            !user.is_empty() && !user.contains(':'),
            "{} does not begin with a user's name",
            file.display()
        );
        Ok(format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}"))))
    }
}

impl std::fmt::Display for Xapi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Xapi::Socket(path) => write!(f, "{}", path.display()),
            Xapi::Server(server) => write!(f, "https://{}", server.name),
        }
    }
}
