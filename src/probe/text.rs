//! `NAME=value` lines.

use std::fmt::{Display, Write};

/// Adds `NAME=1` or `NAME="text"`: numbers bare, text quoted as OpenNebula's template syntax wants it.
pub fn number(text: &mut String, name: &str, value: impl Display) {
    _ = writeln!(text, "{name}={value}");
}

pub fn string(text: &mut String, name: &str, value: &str) {
    _ = writeln!(text, "{name}=\"{}\"", harmless(value));
}

/// Without what could end a quoted value of OpenNebula's template syntax (a quote, a backslash, a bracket) or
/// its line.
pub fn harmless(value: &str) -> String {
    value.chars().filter(|c| !c.is_control() && !['"', '\\', '[', ']'].contains(c)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_text_can_end_its_value() {
        let mut text = String::new();
        super::string(&mut text, "MODELNAME", "a\"b\nSTATE=\"x\" ]\\");
        assert_eq!(text, "MODELNAME=\"abSTATE=x \"\n");
    }
}
