//! Text in OpenNebula's template syntax. What is not, oned refuses as a whole, with all that goes in the same message.

use crate::report::Result;
use anyhow::{Context, ensure};

const BLANKS: [char; 2] = [' ', '\t'];
const SPACE: [char; 3] = [' ', '\t', '\n'];

/// Whether oned can read the text (template_parser.l, template_syntax.y), whatever stands before and after it. The
/// error tells the line.
pub fn check(text: &str) -> Result<()> {
    let strange = |c: char| c.is_control() && !SPACE.contains(&c);
    ensure!(!text.contains(strange) && !text.contains("]]>"), "it has characters that oned cannot take");
    let mut rest = after_space(text);
    while !rest.is_empty() {
        let done = text.len() - rest.len();
        rest = attribute(rest).map(after_space).with_context(|| {
            let line = text.get(..done).unwrap_or_default().matches('\n').count() + 1;
            format!("line {line} is not NAME=value")
        })?;
    }
    Ok(())
}

/// Behind blanks, line breaks and comments.
fn after_space(text: &str) -> &str {
    let mut rest = text.trim_start_matches(SPACE);
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start_matches(SPACE);
    }
    rest
}

/// Each of these gives what is behind it; nothing if it is not there.
fn attribute(text: &str) -> Option<&str> {
    let rest = name_and_equal(text)?;
    if rest.is_empty() || rest.starts_with('\n') {
        return Some(rest);
    }
    rest.strip_prefix('[').map_or_else(|| value(rest), vector)
}

fn vector(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches(SPACE);
    if let Some(rest) = rest.strip_prefix(']') {
        return Some(rest);
    }
    loop {
        rest = value(name_and_equal(rest)?)?.trim_start_matches(SPACE);
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start_matches(SPACE),
            None => return rest.strip_prefix(']'),
        }
    }
}

fn name_and_equal(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let equal = rest.trim_start_matches(BLANKS).strip_prefix('=')?;
    (rest.len() < text.len()).then(|| equal.trim_start_matches(BLANKS))
}

fn value(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let is_end =
            |(at, _): &(usize, &str)| !quoted.get(..*at).is_some_and(|before| before.ends_with('\\'));
        let (end, _) = quoted.match_indices('"').find(is_end)?;
        return quoted.get(end + 1..);
    }
    let rest = text.trim_start_matches(|c: char| !SPACE.contains(&c) && !"=#,[]\"".contains(c));
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_oned_reads_is_taken() {
        for text in [
            "",
            "\n# a comment\n RACK=7\n",
            "RACK = \"a \\\"b\\\" ]\nc\" # why\nEMPTY=\nUSED=1.5 FREE=2\n",
            "VM = [ ID=\"1\",\n  STATE = RUNNING ]\nVM=[]\nGPU=[A=\"x,y\"]\nEND=1",
            "ÜBER_IS_NO_NAME=1".trim_start_matches('Ü'),
        ] {
            check(text).unwrap_or_else(|why| panic!("{text:?}: {why:#}"));
        }
    }

    #[test]
    fn what_would_spoil_the_whole_message_is_not() {
        for (text, line) in [
            ("A=1\nno sensor found\n", "line 2"),
            ("A=\"1\nB=2\n", "line 1"),
            ("A=\"1\\\"\n", "line 1"),
            ("\n\nA=[ B=1, ]\n", "line 3"),
            ("A=[ B=1\n", "line 1"),
            ("A=[ B=[ C=1 ] ]\n", "line 1"),
            ("A=1]\n", "line 1"),
            ("A-B=1\n", "line 1"),
            ("=1\n", "line 1"),
            ("A=b=c\n", "line 1"),
            ("A=b\"c d\"\n", "line 1"),
            ("A=\"b\0c\"\n", "characters"),
            ("A=\"b\u{1b}[0m\"\n", "characters"),
            ("A=\"x]]>\"\n", "characters"),
        ] {
            let why = check(text).unwrap_err().to_string();
            assert!(why.contains(line), "{text:?}: {why}");
        }
    }
}
