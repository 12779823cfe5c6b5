//! One message on the wire: `TYPE SUCCESS|FAILURE HOST_ID UNIX_TIME base64(zlib(text))`, without a line break
//! (OpenNebula's lib/monitord_client.rb).

use super::cipher::Cipher;
use super::kind::Kind;
use crate::report::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// A datagram takes 65,507 bytes. Less is sent: each lost fragment of it loses all.
const MAX_DATAGRAM_BYTES: usize = 32 << 10;

/// What is told about a host, before it is packed.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub kind: Kind,
    /// Whether the text is what the probes say, or why they failed.
    pub success: bool,
    pub host_id: u32,
    /// Seconds since 1970.
    pub time: u64,
    pub text: &'a str,
}

impl Message<'_> {
    /// The bytes to send.
    pub fn encode(&self, cipher: Option<&Cipher>) -> Result<Vec<u8>> {
        let plain = self.text.as_bytes();
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        match cipher {
            Some(cipher) => packed.write_all(&cipher.encrypt(plain)?)?,
            None => packed.write_all(plain)?,
        }
        let status = if self.success { "SUCCESS" } else { "FAILURE" };
        let payload = STANDARD.encode(packed.finish()?);
        Ok(format!("{} {status} {} {} {payload}", self.kind.name(), self.host_id, self.time).into_bytes())
    }

    /// The same in as many messages as datagrams take, cut between lines: each line is whole by itself.
    pub fn datagrams(&self, cipher: Option<&Cipher>) -> Result<Vec<Vec<u8>>> {
        let whole = self.encode(cipher)?;
        if whole.len() <= MAX_DATAGRAM_BYTES {
            return Ok(vec![whole]);
        }
        let middle = self.text.len() / 2;
        let after_middle = self.text.bytes().skip(middle).position(|byte| byte == b'\n');
        let cut = after_middle.map(|found| middle + found + 1).filter(|cut| *cut < self.text.len());
        match cut.and_then(|cut| self.text.split_at_checked(cut)) {
            Some((first, rest)) => {
                let mut parts = Message { text: first, ..self.clone() }.datagrams(cipher)?;
                parts.extend(Message { text: rest, ..self.clone() }.datagrams(cipher)?);
                Ok(parts)
            }
            None => Ok(vec![whole]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    fn message(text: &str) -> Message<'_> {
        Message { kind: Kind::MonitorVm, success: true, host_id: 7, time: 1_700_000_000, text }
    }

    /// As onemonitord reads it.
    fn decode(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let packed = STANDARD.decode(words.pop().unwrap()).unwrap();
        let mut plain = Vec::new();
        ZlibDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
        (words, plain)
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        for text in ["", "HYPERVISOR=\"xcp\"\n", &"VM = [ ID=\"1\" ]\n".repeat(500)] {
            let (words, plain) = decode(&message(text).encode(None).unwrap());
            assert_eq!(words, ["MONITOR_VM", "SUCCESS", "7", "1700000000"]);
            assert_eq!(plain, text.as_bytes());
        }
    }

    #[test]
    fn a_failure_says_so() {
        let failed = Message { success: false, ..message("no") };
        assert!(failed.encode(None).unwrap().starts_with(b"MONITOR_VM FAILURE 7 1700000000 "));
    }

    #[test]
    fn a_long_text_is_cut_between_lines_and_nothing_is_lost() {
        let mut noise = 1_u64;
        let mut line = |number: u64| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number);
            format!("VM = [ ID=\"{number}\", MONITOR=\"{noise:x}{:x}\" ]\n", noise.rotate_left(17))
        };
        let text: String = (0..5000).map(&mut line).collect();
        let parts = message(&text).datagrams(None).unwrap();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= MAX_DATAGRAM_BYTES));
        let plain: Vec<Vec<u8>> = parts.iter().map(|part| decode(part).1).collect();
        assert!(plain.iter().all(|part| part.starts_with(b"VM = ") && part.ends_with(b"]\n")));
        assert_eq!(plain.concat(), text.as_bytes());
    }
}
