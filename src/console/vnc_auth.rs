//! VNC authentication (RFC 6143, 7.2.2): the viewer encrypts a challenge with the password as DES key, each of
//! whose bytes is mirrored.

use super::seal::{PASSWORD_BYTES, random};
use crate::report::Result;
use des::Des;
use des::cipher::{BlockEncrypt, KeyInit};

pub type Challenge = [u8; 16];

/// A challenge that was never there before.
pub fn challenge() -> Result<Challenge> {
    random()
}

/// What a viewer that knows the password answers.
pub fn response(password: &[u8], challenge: &Challenge) -> Challenge {
    let mut key = [0; PASSWORD_BYTES];
    key.iter_mut().zip(password).for_each(|(byte, letter)| *byte = letter.reverse_bits());
    let cipher = Des::new(&key.into());
    let mut answer = *challenge;
    for block in answer.chunks_exact_mut(8) {
        cipher.encrypt_block(block.into());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::response;

    #[test]
    fn it_is_des_with_mirrored_keys() {
        // FIPS 81, table B1: the key 0123456789abcdef, mirrored byte by byte as a viewer has it.
        let password = [0x01_u8, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef].map(u8::reverse_bits);
        let answer = response(&password, b"Now is the time ");
        let known =
            [0x3f, 0xa4, 0x0e, 0x8a, 0x98, 0x4d, 0x48, 0x15, 0x6a, 0x27, 0x17, 0x87, 0xab, 0x88, 0x83, 0xf9];
        assert_eq!(answer, known);
        assert_eq!(response(b"12345678", &known), response(b"123456789", &known));
    }
}
