//! A VNC viewer (RFC 6143), as much as a test needs.
#![allow(dead_code)]

use des::Des;
use des::cipher::{BlockEncrypt, KeyInit};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::common::serve::PATIENCE;

const WIDTH: u16 = 320;
const HEIGHT: u16 = 200;

pub struct Viewer(TcpStream);

impl Viewer {
    pub fn connect(port: u16) -> Viewer {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Viewer(stream)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub fn text(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Comes in without a password, up to the picture's size.
    pub fn enter(&mut self) {
        assert_eq!(self.text(12), "RFB 003.008\n");
        self.send(b"RFB 003.008\n");
        assert_eq!(self.take(), [1, 1]);
        self.send(&[1]);
        assert_eq!(self.take(), [0; 4]);
        self.begin();
    }

    /// Whether somebody lets us in with the password, at this moment.
    pub fn may_come_in(port: u16, password: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // One that is just being killed still takes connections.
        stream.read_exact(&mut [0; 12]).is_ok() && Viewer::connect(port).log_in("003.008", password) == 0
    }

    /// Answers the challenge; gives back the result.
    pub fn log_in(&mut self, version: &str, password: &str) -> u32 {
        assert_eq!(self.text(12), "RFB 003.008\n");
        self.send(format!("RFB {version}\n").as_bytes());
        if version == "003.003" {
            assert_eq!(self.take(), [0, 0, 0, 2]);
        } else {
            assert_eq!(self.take(), [1, 2]);
            self.send(&[2]);
        }
        let mut challenge: [u8; 16] = self.take();
        let mut key = [0; 8];
        key.iter_mut().zip(password.bytes()).for_each(|(byte, letter)| *byte = letter.reverse_bits());
        let cipher = Des::new(&key.into());
        challenge.chunks_exact_mut(8).for_each(|block| cipher.encrypt_block(block.into()));
        self.send(&challenge);
        u32::from_be_bytes(self.take())
    }

    /// From ClientInit to the end of ServerInit.
    pub fn begin(&mut self) {
        self.send(&[1]);
        let init: [u8; 24] = self.take();
        assert_eq!(init[..4], [1, 64, 0, 200]);
        let name = self.text(usize::from(init[23]));
        assert!(name.starts_with("QEMU ("), "{name}");
    }

    pub fn reason(&mut self) -> String {
        let length = u32::from_be_bytes(self.take());
        self.text(usize::try_from(length).unwrap())
    }

    /// Why it is let in by nobody.
    pub fn refusal(&mut self) -> String {
        assert_eq!(self.text(12), "RFB 003.008\n");
        self.send(b"RFB 003.008\n");
        assert_eq!(self.take(), [0]);
        self.reason()
    }

    fn ask_for(&mut self, area: [u16; 4]) {
        let numbers = area.iter().flat_map(|number| number.to_be_bytes());
        self.send(&[3, 0].into_iter().chain(numbers).collect::<Vec<u8>>());
    }

    /// One pixel, in XAPI's own format.
    pub fn pixel(&mut self, x: u16, y: u16) -> [u8; 4] {
        self.ask_for([x, y, 1, 1]);
        let update: [u8; 20] = self.take();
        [update[19], update[17], update[18], update[16]]
    }

    /// The whole picture, which nobody reads.
    pub fn ask_for_all(&mut self) {
        self.ask_for([0, 0, WIDTH, HEIGHT]);
    }

    pub fn skip(&mut self, count: usize) {
        let copied = std::io::copy(&mut (&mut self.0).take(count as u64), &mut std::io::sink()).unwrap();
        assert_eq!(copied, count as u64);
    }

    /// Whether the other side has closed the connection.
    pub fn is_shown_out(&mut self) -> bool {
        match self.0.read(&mut [0; 4096]) {
            Ok(count) => count == 0,
            Err(why) => why.kind() == ErrorKind::ConnectionReset,
        }
    }
}
