//! Which hosts are believed to be who they say. Hosts have certificates of their own making: one is trusted
//! because its fingerprint is known, or because an authority of the administrator's has signed it.

use crate::report::Result;
use anyhow::{Context, ensure};
use std::path::PathBuf;

/// The SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// What makes a certificate good.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// It has one of these.
    pub fingerprints: Vec<Fingerprint>,
    /// One of the certificates in this PEM file has signed it, for the name by which the host is called.
    pub ca_file: Option<PathBuf>,
}

impl Trust {
    /// Reads the settings: fingerprints as `openssl x509 -fingerprint -sha256` prints them, separated by blanks
    /// or commas, and a file's path.
    pub fn read(fingerprints: &str, ca_file: Option<&str>) -> Result<Trust> {
        let words = fingerprints.split([' ', ',']).filter(|word| !word.is_empty());
        let fingerprints = words.map(fingerprint).collect::<Result<_>>().context("XAPI_FINGERPRINT")?;
        Ok(Trust { fingerprints, ca_file: ca_file.map(PathBuf::from) })
    }
}

fn fingerprint(word: &str) -> Result<Fingerprint> {
    let digits: Vec<u8> = word.bytes().filter(|byte| *byte != b':').collect();
    let mut bytes = [0; 32];
    ensure!(digits.len() == 64, "{word} is no SHA-256 fingerprint: it has 32 bytes as hexadecimal digits");
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).with_context(|| format!("{word} is not hexadecimal"))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let plain = "ab".repeat(32);
        let colons = "AB:".repeat(32);
        let trust = Trust::read(&format!("{plain}, {}", colons.trim_end_matches(':')), None).unwrap();
        assert_eq!(trust.fingerprints, [[0xab; 32]; 2]);
        assert!(Trust::read("abcd", None).is_err());
        assert!(Trust::read(&"xy".repeat(32), None).is_err());
        assert!(Trust::read("", Some("/ca.pem")).unwrap().fingerprints.is_empty());
    }
}
