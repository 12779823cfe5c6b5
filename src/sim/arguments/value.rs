//! Values that XAPI's command line takes in several spellings.

use crate::sim::refuse::{Fail, Outcome};

/// Yes or no, as XAPI's command line takes it; the complaint otherwise (xapi `record_util.ml`).
pub fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err(format!("Expected 'true','t','yes','y','1','false','f','no','n','0' got {value}")),
    }
}

/// An integer with a unit, in bytes (xapi `record_util.ml` `bytes_of_string`).
pub fn bytes(field: &str, value: &str) -> Outcome<i64> {
    let parse = || {
        let plain = value.trim_start();
        let end = plain.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(plain.len());
        let (number, unit) = plain.split_at(end);
        let scale: i64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" | "bytes" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1 << 40,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(scale)
    };
    parse().ok_or_else(|| {
        Fail::Record(format!(
            "Failed to parse field '{field}': expecting an integer (possibly with suffix KiB, MiB, GiB, TiB), \
             got '{value}'"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(bytes("f", "2GiB"), Ok(2 << 30));
        assert_eq!(bytes("f", "3 k"), Ok(3072));
        for bad in ["-1", "1.5GiB", "12XB", "abc", ""] {
            assert!(bytes("f", bad).is_err(), "{bad}");
        }
    }
}
