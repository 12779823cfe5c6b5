//! Encryption with onemonitord's public key (NETWORK/PUBKEY), if its administrator made one.

use crate::report::Result;
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Encrypt, RsaPublicKey};

/// Bytes of a block that PKCS#1 v1.5 keeps for itself (RFC 8017, 7.2.1).
const PADDING_BYTES: usize = 11;

#[derive(Debug)]
pub struct Cipher {
    key: RsaPublicKey,
}

impl Cipher {
    /// Reads a PEM key, PKCS#1 or X.509, whose line breaks OpenNebula has turned into blanks.
    pub fn parse(pem: &str) -> Result<Cipher> {
        let of_pkcs1 = pem.contains("BEGIN RSA PUBLIC KEY");
        let body = pem.split("-----").nth(2).context("PUBKEY is not a PEM key")?;
        let packed: String = body.split_whitespace().collect();
        let der = STANDARD.decode(packed).context("PUBKEY is not a PEM key")?;
        let key = if of_pkcs1 {
            RsaPublicKey::from_pkcs1_der(&der).context("PUBKEY is not an RSA key")?
        } else {
            RsaPublicKey::from_public_key_der(&der).context("PUBKEY is not an RSA key")?
        };
        ensure!(key.size() > PADDING_BYTES, "PUBKEY is an RSA key of {} bytes, too short", key.size());
        Ok(Cipher { key })
    }

    /// Encrypts in blocks, each as long as the key: what onemonitord's `rsa_private_decrypt` takes.
    pub fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let blocks = plain.chunks(self.key.size() - PADDING_BYTES);
        let mut encrypted = Vec::with_capacity(blocks.len() * self.key.size());
        for block in blocks {
            let block = self.key.encrypt(&mut OsRng, Pkcs1v15Encrypt, block);
            encrypted.extend(block.context("cannot encrypt with PUBKEY")?);
        }
        Ok(encrypted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::RsaPrivateKey;
    use rsa::pkcs1::EncodeRsaPublicKey;

    /// A key of the size of OpenNebula's own would take seconds in a debug build.
    fn key() -> (RsaPrivateKey, Cipher) {
        let private = RsaPrivateKey::new(&mut OsRng, 512).unwrap();
        let der = private.to_public_key().to_pkcs1_der().unwrap();
        let pem = format!(
            "-----BEGIN RSA PUBLIC KEY----- {} -----END RSA PUBLIC KEY----- ",
            STANDARD.encode(der.as_bytes())
        );
        (private, Cipher::parse(&pem).unwrap())
    }

    #[test]
    fn the_private_key_reads_what_was_encrypted() {
        let (private, cipher) = key();
        let plain = b"VM = [ ID=\"1\", STATE=\"RUNNING\" ]\n".repeat(5);
        let encrypted = cipher.encrypt(&plain).unwrap();
        assert_eq!(encrypted.len() % 64, 0);
        let blocks = encrypted.chunks(64).map(|block| private.decrypt(Pkcs1v15Encrypt, block).unwrap());
        assert_eq!(blocks.collect::<Vec<_>>().concat(), plain);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["abc", "-----BEGIN RSA PUBLIC KEY----- QUJD -----END RSA PUBLIC KEY-----"] {
            assert!(Cipher::parse(text).unwrap_err().to_string().starts_with("PUBKEY is not"), "{text}");
        }
    }
}
