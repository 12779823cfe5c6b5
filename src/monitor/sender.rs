//! Sending to onemonitord: by UDP, and by TCP what must not get lost.

use super::cipher::Cipher;
use super::clock::Clock;
use super::kind::Kind;
use super::message::Message;
use crate::one::MonitorConfiguration;
use crate::report::Result;
use crate::xe::host::without_brackets;
use anyhow::{Context, anyhow};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// For connecting, and for each write.
const LIMIT: Duration = Duration::from_secs(5);
/// For onemonitord to close a connection when it has read it.
const FAREWELL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Sender {
    address: String,
    port: u16,
    host_id: u32,
    cipher: Option<Cipher>,
    clock: Clock,
}

impl Sender {
    /// `ssh_client` is `$SSH_CLIENT`.
    pub fn new(
        configuration: &MonitorConfiguration,
        im_mad: &str,
        ssh_client: Option<&str>,
        clock: Clock,
    ) -> Result<Sender> {
        let network = &configuration.network;
        let pubkey = network.pubkey.trim();
        Ok(Sender {
            address: without_brackets(configuration.monitor_address(im_mad, ssh_client)?).to_owned(),
            port: network.port,
            host_id: configuration.host_id,
            cipher: (!pubkey.is_empty()).then(|| Cipher::parse(pubkey)).transpose()?,
            clock,
        })
    }

    /// Sends what a round of probes said.
    pub fn send(&self, kind: Kind, success: bool, text: &str) -> Result<()> {
        let message = Message { kind, success, host_id: self.host_id, time: self.clock.now(), text };
        let send = || match kind {
            Kind::StateVm => self.by_tcp(&message.encode(self.cipher.as_ref())?),
            _ => self.by_udp(&message.datagrams(self.cipher.as_ref())?),
        };
        send().with_context(|| format!("cannot send {} to {}:{}", kind.name(), self.address, self.port))
    }

    /// A name is looked up each time: a client lives longer than addresses do.
    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let mut addresses: Vec<SocketAddr> = (self.address.as_str(), self.port).to_socket_addrs()?.collect();
        ipv4_first(&mut addresses);
        Ok(addresses)
    }

    fn by_udp(&self, datagrams: &[Vec<u8>]) -> Result<()> {
        let address = *self.addresses()?.first().context("it has no address")?;
        let socket = if address.is_ipv4() {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?
        } else {
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?
        };
        for datagram in datagrams {
            socket.send_to(datagram, address)?;
        }
        Ok(())
    }

    /// Whether onemonitord takes connections. It passes over those that say nothing (TCPStream.h:139).
    pub fn is_heard(&self) -> bool {
        self.connect().is_ok()
    }

    fn by_tcp(&self, bytes: &[u8]) -> Result<()> {
        say(self.connect()?, bytes)
    }

    fn connect(&self) -> Result<TcpStream> {
        let mut why = anyhow!("it has no address");
        for address in self.addresses()? {
            match TcpStream::connect_timeout(&address, LIMIT) {
                Ok(stream) => return Ok(stream),
                Err(error) => why = error.into(),
            }
        }
        Err(why)
    }
}

/// onemonitord listens on IPv4 unless it is told otherwise, and a datagram to the other address of its name is lost
/// without a word. OpenNebula's own client sends by IPv4 alone.
fn ipv4_first(addresses: &mut [SocketAddr]) {
    addresses.sort_by_key(SocketAddr::is_ipv6);
}

/// onemonitord reads until the end of the connection, and then closes it.
fn say(mut stream: TcpStream, bytes: &[u8]) -> Result<()> {
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(FAREWELL))?;
    match stream.read(&mut [0]) {
        // It ended before it had read all.
        Err(why) if why.kind() == ErrorKind::ConnectionReset => Err(why.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_with_both_kinds_of_addresses_ipv4_is_tried_first() {
        let given = ["[::1]:1", "192.0.2.2:1", "[::2]:1", "192.0.2.1:1"];
        let mut addresses = given.map(|address| address.parse().unwrap()).to_vec();
        ipv4_first(&mut addresses);
        let found: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.2:1", "192.0.2.1:1", "[::1]:1", "[::2]:1"]);
    }
}
