//! A build without TLS: what runs in dom0 has XAPI's socket.

use super::{Connection, Trust};
use crate::report::Result;
use anyhow::bail;
use std::time::Duration;

/// Says what to do instead.
pub fn connect(name: &str, _port: u16, _trust: &Trust, _limit: Duration) -> Result<Connection> {
    bail!("this build of one-xcp has no TLS, so https://{name} cannot be asked: build it with --features tls")
}
