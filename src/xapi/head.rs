//! The head of an HTTP answer.

use crate::report::{Result, one_line};
use anyhow::{Context, bail, ensure};
use std::io::Read;

/// XAPI's heads are a few hundred bytes.
const MAX_BYTES: usize = 16 << 10;

/// XAPI answered that it will not. Its page of HTML says no more than its code.
#[derive(Debug)]
pub struct Refused {
    pub code: u16,
    line: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hint = if self.code == 401 { ": check XE_PASSWORD_FILE" } else { "" };
        write!(f, "it answered {:?}{hint}", self.line)
    }
}

impl std::error::Error for Refused {}

/// Reads the head byte by byte, so that what follows is left to who reads on; gives back its length, if the
/// head says so. An answer other than 200 is [`Refused`].
pub fn read(from: &mut impl Read) -> Result<Option<u64>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < MAX_BYTES, "the head of its answer does not end");
        if from.read(&mut byte).context("no answer")? == 0 {
            bail!("its answer ends in its head");
        }
        head.extend_from_slice(&byte);
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let code = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    if code != 200 {
        bail!(Refused { code, line: one_line(line) });
    }
    let length = lines.filter_map(|line| line.split_once(':'));
    let length = length.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map(|(_, value)| value.trim().parse().context("content-length")).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_where_the_rest_begins() {
        let mut answer = &b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nRFB 003.008\n"[..];
        assert_eq!(read(&mut answer).unwrap(), Some(12));
        assert_eq!(answer, b"RFB 003.008\n");
        assert_eq!(read(&mut &b"HTTP/1.1 200 OK\r\n\r\n"[..]).unwrap(), None);
    }

    #[test]
    fn a_refusal_keeps_its_code_and_a_cut_answer_is_an_error() {
        let error = read(&mut &b"HTTP/1.1 500 Internal Error\r\n\r\n<html>"[..]).unwrap_err();
        assert_eq!(error.downcast_ref::<Refused>().map(|refused| refused.code), Some(500));
        assert!(read(&mut &b"HTTP/1.1 200 OK\r\n"[..]).is_err());
        assert!(read(&mut std::io::repeat(b'x')).is_err());
    }
}
