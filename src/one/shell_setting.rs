//! One line of a settings file that a shell could source: `NAME=value`.

use crate::report::Result;
use anyhow::{Context, ensure};

/// Reads the line as a shell would: `export` and quotes, a comment after the value. None if it is blank or a comment.
pub fn read(line: &str) -> Result<Option<(&str, &str)>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let setting = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = setting.split_once('=').context("it is not NAME=value")?;
    Ok(Some((name.trim(), unquoted(value)?)))
}

fn unquoted(value: &str) -> Result<&str> {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (inner, after) = rest.split_once(quote).context("a quote is not closed")?;
            let after = after.trim();
            ensure!(after.is_empty() || after.starts_with('#'), "there is text after the closing quote");
            return Ok(inner);
        }
    }
    Ok(value.split(" #").next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_line_reads_as_a_shell_would() {
        assert_eq!(read(" # c").unwrap(), None);
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("XE=/opt/xe # there").unwrap(), Some(("XE", "/opt/xe")));
        assert_eq!(
            read("export TEMPLATE=\"Other install media\" # c").unwrap(),
            Some(("TEMPLATE", "Other install media"))
        );
        assert_eq!(read("DEFAULT_SR=''").unwrap(), Some(("DEFAULT_SR", "")));
        assert!(read("XE=\"xe").unwrap_err().to_string().contains("not closed"));
        assert!(read("exit 1").unwrap_err().to_string().contains("NAME=value"));
    }
}
