//! A connection to XAPI, over its socket or TLS.

#[cfg(feature = "tls")]
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
#[cfg(feature = "tls")]
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What XAPI is talked to through.
pub enum Connection {
    Socket(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// How long one read or write may take.
    pub fn limit(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Connection::Socket(stream) => {
                stream.set_read_timeout(limit)?;
                stream.set_write_timeout(limit)
            }
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => {
                stream.sock.set_read_timeout(limit)?;
                stream.sock.set_write_timeout(limit)
            }
        }
    }

    /// From here on nothing waits: for whoever polls.
    pub fn never_wait(&self) -> io::Result<()> {
        match self {
            Connection::Socket(stream) => stream.set_nonblocking(true),
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => stream.sock.set_nonblocking(true),
        }
    }

    /// Whether something written is still to be sent: TLS takes in more than its socket.
    pub fn has_unsent(&self) -> bool {
        match self {
            Connection::Socket(_) => false,
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => stream.conn.wants_write(),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Connection::Socket(stream) => stream.read(into),
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Connection::Socket(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Connection::Socket(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => stream.flush(),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Connection::Socket(stream) => stream.as_fd(),
            #[cfg(feature = "tls")]
            Connection::Tls(stream) => stream.sock.as_fd(),
        }
    }
}
