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
/// SYSTEM_HOST is not cut before it must be: with each part of it oned forgets the wild VMs that an earlier one told
/// (Host.cc `update_info`).
const MAX_SYSTEM_BYTES: usize = 60 << 10;
/// Of a long text so much is packed first, to see how long it becomes.
const FIRST_PART_BYTES: usize = 32 << 10;

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
        let mut datagrams = Vec::new();
        let (max, first) = match self.kind {
            Kind::SystemHost => (MAX_SYSTEM_BYTES, self.text.len()),
            _ => (MAX_DATAGRAM_BYTES, FIRST_PART_BYTES),
        };
        let (mut rest, mut aim) = (self.text, first);
        loop {
            let (part, after) = cut(rest, aim);
            let datagram = Message { text: part, ..self.clone() }.encode(cipher)?;
            if datagram.len() > max && cut(part, part.len() / 2).0.len() < part.len() {
                aim = part.len() / 2;
                continue;
            }
            // Lines of one kind pack alike: the next part will nearly fill its datagram.
            aim = part.len() * (max / 10 * 9) / datagram.len();
            datagrams.push(datagram);
            rest = after;
            if rest.is_empty() {
                return Ok(datagrams);
            }
        }
    }
}

/// As many whole lines as `bytes` hold, but one at least; and the rest.
fn cut(text: &str, bytes: usize) -> (&str, &str) {
    let is_end = |byte: &u8| *byte == b'\n';
    let all = text.as_bytes();
    let Some((before, after)) = all.split_at_checked(bytes).filter(|(_, after)| !after.is_empty()) else {
        return (text, "");
    };
    let end = before.iter().rposition(is_end).or_else(|| Some(before.len() + after.iter().position(is_end)?));
    end.and_then(|end| text.split_at_checked(end + 1)).unwrap_or((text, ""))
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
    fn a_host_is_told_whole_with_hundreds_of_wild_vms() {
        let wild = |vm: u32| {
            let uuid = format!("{:08x}-0000-4000-8000-{:012x}", vm.wrapping_mul(2_654_435_761), vm * 7_919);
            let template = format!("NAME=\"web {vm}\"\nCPU=2\nVCPU=2\nMEMORY=4096\nDEPLOY_ID=\"{uuid}\"\n");
            let template = STANDARD.encode(template);
            format!("VM = [ ID=\"-1\", DEPLOY_ID=\"{uuid}\", IMPORT_TEMPLATE=\"{template}\" ]\n")
        };
        let text = "HYPERVISOR=\"xcp\"\n".to_owned() + &(0..300).map(wild).collect::<String>();
        let host = Message { kind: Kind::SystemHost, ..message(&text) };
        let parts = host.datagrams(None).unwrap();
        assert!(matches!(parts.as_slice(), [only] if decode(only).1 == text.as_bytes()), "{}", parts.len());
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

    #[test]
    fn what_is_cut_is_whole_lines() {
        for (text, bytes, first) in [
            ("ab\ncd\n", 3, "ab\n"),
            ("ab\ncd\n", 5, "ab\n"),
            ("ab\ncd\n", 0, "ab\n"),
            ("ab\ncd\n", 6, "ab\ncd\n"),
            ("ab\ncd", 4, "ab\n"),
            ("abcd", 2, "abcd"),
            ("", 2, ""),
        ] {
            let (part, rest) = cut(text, bytes);
            assert_eq!((part, [part, rest].concat().as_str()), (first, text), "{bytes}");
        }
    }

    #[test]
    fn a_line_that_no_datagram_takes_is_sent_all_the_same() {
        let noise: String = (0_u64..9000).map(|n| char::from(b'!' + (n * n % 89) as u8)).collect();
        let long = (0..9).fold(String::new(), |text, n| text + &noise[n * 700..]) + "\n";
        let text = format!("short\n{long}last\n");
        let plain: Vec<Vec<u8>> =
            message(&text).datagrams(None).unwrap().iter().map(|part| decode(part).1).collect();
        assert_eq!(plain.concat(), text.as_bytes());
        assert_eq!(message("").datagrams(None).unwrap().len(), 1);
    }
}
