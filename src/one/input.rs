//! Standard input as OpenNebula sends it: plain XML over ssh, base64 of the same where the script runs on
//! the front-end (OpenNebulaDriver.rb:103-111).

use crate::report::Result;
use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use std::io::Read;

/// More than any document of OpenNebula's holds (a VM with 16 MB of START_SCRIPT is refused by oned).
const MAX_BYTES: u64 = 32 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a document whole, plain or base64; `what` names it in errors.
pub fn read(what: &str, from: impl Read) -> Result<String> {
    decode(what, bytes(what, from)?)
}

/// The same, where there may be none: nothing but blanks.
pub fn read_optional(what: &str, from: impl Read) -> Result<Option<String>> {
    let bytes = bytes(what, from)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    decode(what, bytes).map(Some)
}

/// All of it, within the limit.
pub fn bytes(what: &str, from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {what}"))?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "{what} is larger than {} MB", MAX_BYTES >> 20);
    Ok(bytes)
}

/// Plain XML as it is; anything else must be base64 of XML.
pub fn decode(what: &str, bytes: Vec<u8>) -> Result<String> {
    let text = utf8(what, bytes)?;
    match text.trim_start_matches('\u{feff}').trim_start().chars().next() {
        None => bail!("{what} is empty"),
        Some('<') => Ok(text),
        Some(_) => {
            let mut packed = text.into_bytes();
            packed.retain(|byte| !byte.is_ascii_whitespace());
            let plain = BASE64.decode(packed).with_context(|| format!("{what} is neither XML nor base64"))?;
            let text = utf8(what, plain)?;
            ensure!(text.trim_start().starts_with('<'), "{what} is base64, but not of XML");
            Ok(text)
        }
    }
}

fn utf8(what: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|why| anyhow::anyhow!("{what} is not UTF-8 (at byte {})", why.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::decode;

    fn decoded(bytes: &[u8]) -> Result<String, String> {
        decode("the message", bytes.to_vec()).map_err(|why| format!("{why:#}"))
    }

    #[test]
    fn plain_wrapped_and_unwrapped_base64_are_the_same() {
        for text in [&b"<VM/>"[..], b"PFZNLz4=", b"PFZN\nLz4=\n", b"PFZNLz4"] {
            assert_eq!(decoded(text).unwrap(), "<VM/>");
        }
    }

    #[test]
    fn what_is_neither_is_named() {
        assert_eq!(decoded(b" \n").unwrap_err(), "the message is empty");
        assert_eq!(decoded(b"aGVsbG8=").unwrap_err(), "the message is base64, but not of XML");
        assert!(decoded(b"no * base64").unwrap_err().starts_with("the message is neither XML nor base64"));
        assert_eq!(decoded(b"<VM>\xff").unwrap_err(), "the message is not UTF-8 (at byte 4)");
    }
}
