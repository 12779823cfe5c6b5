//! The VNC password in the pool's database, where whoever may read VMs could read it, and whose changes XAPI
//! logs: sealed with a secret that all hosts of the pool have and nobody else.

use crate::one::Conf;
use crate::report::Result;
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// RFB's passwords have eight bytes (RFC 6143, 7.2.2).
pub const PASSWORD_BYTES: usize = 8;

/// XAPI's pool secret, the same on all hosts of the pool, for root to read (xapi_globs.ml `pool_secret_path`).
const POOL_SECRET: &str = "/etc/xensource/ptoken";

/// What seals passwords.
pub struct Key {
    secret: Option<Vec<u8>>,
}

impl Key {
    /// The pool's secret; for drivers on the front-end the file with XAPI's password.
    pub fn read(conf: &Conf) -> Key {
        let on_front_end = conf.optional("XE_SERVER").and(conf.optional("XE_PASSWORD_FILE"));
        let file = on_front_end.unwrap_or_else(|| conf.text("POOL_SECRET_FILE", POOL_SECRET));
        let secret = fs::read(Path::new(file)).ok().filter(|secret| !secret.is_empty());
        Key { secret }
    }

    /// None if there is no secret to seal with.
    pub fn seal(&self, password: &str) -> Result<Option<String>> {
        let nonce: [u8; PASSWORD_BYTES] = random()?;
        let Some(pad) = self.pad(&nonce) else { return Ok(None) };
        let mut bytes = [0; PASSWORD_BYTES];
        bytes.iter_mut().zip(password.bytes()).for_each(|(byte, letter)| *byte = letter);
        let mut text = String::new();
        for byte in nonce.into_iter().chain(bytes.iter().zip(pad).map(|(byte, pad)| byte ^ pad)) {
            _ = write!(text, "{byte:02x}");
        }
        Ok(Some(text))
    }

    /// None without the secret it was sealed with, as far as that can be told.
    pub fn open(&self, seal: &str) -> Option<String> {
        let digits = seal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        let bytes = bytes.filter(|bytes| bytes.len() == 2 * PASSWORD_BYTES)?;
        let (nonce, sealed) = bytes.split_at(PASSWORD_BYTES);
        let pad = self.pad(nonce)?;
        let bytes: Vec<u8> =
            sealed.iter().zip(pad).map(|(byte, pad)| byte ^ pad).take_while(|byte| *byte != 0).collect();
        String::from_utf8(bytes).ok().filter(|password| !password.is_empty())
    }

    /// One pad for each nonce: no two passwords are sealed with the same.
    fn pad(&self, nonce: &[u8]) -> Option<[u8; PASSWORD_BYTES]> {
        let secret = self.secret.as_ref()?;
        let mut digest = Sha256::new();
        for part in [&b"one-xcp console"[..], secret, nonce] {
            digest.update(Sha256::digest(part));
        }
        let digest = digest.finalize();
        digest.first_chunk().copied()
    }
}

/// Bytes that nobody can foresee.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("/dev/urandom")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn only_who_has_the_secret_reads_the_password() {
        let (ours, theirs) =
            (Key { secret: Some(b"pool".to_vec()) }, Key { secret: Some(b"other".to_vec()) });
        for password in ["a", "geheim", "12345678"] {
            let sealed = ours.seal(password).unwrap().unwrap();
            assert_eq!(ours.open(&sealed).as_deref(), Some(password));
            assert_ne!(theirs.open(&sealed).as_deref(), Some(password));
            assert_ne!(ours.seal(password).unwrap().unwrap(), sealed, "each seal is another");
        }
        assert_eq!(ours.open(&ours.seal("123456789").unwrap().unwrap()).as_deref(), Some("12345678"));
        assert!(Key { secret: None }.seal("a").unwrap().is_none());
        assert!(ours.open("00").is_none() && ours.open("zz").is_none());
    }
}
