//! Sizes as qemu-img takes them: bytes, or with K, M, G or T.

use crate::report::Result;
use anyhow::{Context, ensure};

/// Larger than any disk, and small enough for every sum.
const MAX_BYTES: u64 = 1 << 60;

/// In bytes.
pub fn bytes(text: &str) -> Result<u64> {
    let shift = match text.bytes().last().map(|unit| unit.to_ascii_uppercase()) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { text.get(..text.len() - 1).unwrap_or_default() };
    ensure!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{text:?} is not a size");
    let number: u64 = digits.parse().with_context(|| format!("{text:?} is not a size"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes <= MAX_BYTES);
    bytes.with_context(|| format!("{text} is too large"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_read_and_nothing_else() {
        for (text, expected) in
            [("512", 512), ("1K", 1024), ("20480M", 20480 << 20), ("3g", 3 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in ["", "M", "-1", "+1M", "1.5G", "10MB", "99999999999999999999", "2000000T"] {
            bytes(text).unwrap_err();
        }
    }
}
