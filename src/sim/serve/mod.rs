//! `one-xcp sim serve`: what XAPI answers over HTTP for the simulated pool, on a Unix socket as in dom0 and,
//! with a certificate, over TLS as everywhere else.

mod answer;
mod console;
mod metrics;
mod request;
mod rfb;
#[cfg(feature = "tls")]
mod tls;

use super::pool::Pool;
use super::row::{Class, Row};
use super::store::Store;
use answer::Status;
use anyhow::{Context, Result, bail};
use request::Request;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Options of `sim serve`.
#[derive(clap::Args)]
pub struct Options {
    /// The Unix socket to listen on, XAPI's /var/lib/xcp/xapi; who connects is root.
    #[arg(long)]
    socket: Option<PathBuf>,
    /// An address and port for TLS; who connects must log in.
    #[cfg(feature = "tls")]
    #[arg(long, requires = "certificate")]
    tcp: Option<std::net::SocketAddr>,
    /// With --tcp: the certificate and its key in one PEM file, as XAPI keeps them.
    #[cfg(feature = "tls")]
    #[arg(long)]
    certificate: Option<PathBuf>,
    /// The host that answers: name-label or uuid. The coordinator unless given.
    #[arg(long)]
    host: Option<String>,
}

/// A connection, whatever it goes over. Its reads end every so often without anything read.
pub trait Stream: Read + Write + Send {}

impl Stream for UnixStream {}

/// How often who waits for a viewer looks whether the VM is still there.
const LOOK: Duration = Duration::from_millis(500);

/// The pool and the host that answers for it.
pub struct Server {
    store: Store,
    host: String,
    pool: Mutex<Option<(Version, Pool)>>,
}

/// What tells one state file from the next.
type Version = (u64, i64, i64);

impl Server {
    /// Looks at the pool as it is now. Rows point into the state file's text, which is never freed: it is read
    /// anew only after a change.
    fn look<T>(&self, look: impl FnOnce(&Pool) -> T) -> Result<T, Status> {
        let mut known = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.store.version();
        if known.as_ref().is_none_or(|(seen, _)| Some(*seen) != version) {
            let read = self.store.read().map_err(|why| answer::internal(&format!("{why:#}")))?;
            *known = version.map(|version| (version, read));
        }
        known
            .as_ref()
            .map(|(_, pool)| look(pool))
            .ok_or_else(|| answer::internal("the simulated pool is gone"))
    }

    /// Answers one request; XAPI closes the connection after each of these.
    fn answer(&self, mut stream: Box<dyn Stream>, is_root: bool) {
        let request = match Request::read(&mut stream) {
            Ok(request) => request,
            Err(status) => return status.write(&mut stream, "1.1"),
        };
        let answered = match (request.method.as_str(), request.path.as_str()) {
            ("GET", path) if path.starts_with("/rrd_updates") => {
                self.allowed(&request, is_root).and_then(|()| {
                    let text = metrics::answer(self, &request)?;
                    _ = stream.write_all(text.as_bytes());
                    Ok(())
                })
            }
            ("CONNECT", path) if path.starts_with("/console") => {
                match self.allowed(&request, is_root).and_then(|()| console::find(self, &request)) {
                    Ok(found) => return console::serve(self, stream, &found),
                    Err(status) => Err(status),
                }
            }
            ("GET", _) => Err(answer::missing()),
            ("CONNECT" | "POST" | "PUT" | "OPTIONS", _) => Err(answer::forbidden()),
            (method, _) => Err(answer::not_implemented(method)),
        };
        if let Err(status) = answered {
            status.write(&mut stream, &request.version);
        }
    }

    /// Who comes over the local socket is root; others must log in (xapi_http.ml `assert_credentials_ok`).
    fn allowed(&self, request: &Request, is_root: bool) -> Result<(), Status> {
        if is_root {
            return Ok(());
        }
        let realm = if request.method == "CONNECT" { "connect_console" } else { "get_rrd_updates" };
        let known = |password: &str| self.look(|pool| password == pool.password);
        let right = match &request.login {
            Some((user, password)) => user == "root" && known(password)?,
            None => false,
        };
        // No session is ever made here, so none is known.
        if right && request.query("session_id").is_none() { Ok(()) } else { Err(answer::unauthorised(realm)) }
    }
}

/// Serves until killed.
pub fn run(store: &Store, options: &Options) -> Result<()> {
    let pool = store.read()?;
    let host = host(&pool, options.host.as_deref())?.uuid.to_string();
    let server = Arc::new(Server { store: store.clone(), host, pool: Mutex::default() });
    let mut listeners = Vec::new();
    if let Some(path) = &options.socket {
        // XAPI too takes the place of what is left of another (xapi.ml `listen_unix_socket`).
        match fs::remove_file(path) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                bail!("cannot replace {}: {why}", path.display())
            }
            _ => {}
        }
        let listener =
            UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        let server = Arc::clone(&server);
        listeners.push(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                _ = stream.set_read_timeout(Some(LOOK));
                let server = Arc::clone(&server);
                thread::spawn(move || server.answer(Box::new(stream), true));
            }
        }));
    }
    #[cfg(feature = "tls")]
    if let (Some(address), Some(certificate)) = (options.tcp, &options.certificate) {
        listeners.push(tls::listen(&server, address, certificate)?);
    }
    if listeners.is_empty() {
        bail!("there is nothing to listen on: give --socket");
    }
    for listener in listeners {
        _ = listener.join();
    }
    Ok(())
}

fn host<'p>(pool: &'p Pool, name: Option<&str>) -> Result<&'p Row> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            pool.rows(Class::Pool).first().context("the pool has no pool object")?.get("master").to_owned()
        }
    };
    let found =
        pool.rows(Class::Host).iter().find(|host| host.uuid == name || host.get("name-label") == name);
    found.with_context(|| format!("there is no host {name}"))
}
