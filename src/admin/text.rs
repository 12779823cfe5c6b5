//! Tables and JSON for people and their scripts.

use std::fmt::Write;

/// Columns as wide as their longest text, the last one open.
pub fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let texts = rows.iter().filter_map(|row| row.get(column));
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for row in rows {
        let mut line = String::new();
        for (text, width) in row.iter().zip(&widths) {
            _ = write!(line, "{text:<width$}  ");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// `{"name":value,…}`; the values are JSON already.
pub fn object(pairs: &[(&str, String)]) -> String {
    let members: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// `[…]`, one element a line.
pub fn array(elements: &[String]) -> String {
    if elements.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", elements.join(",\n")) }
}

/// A text in quotes.
pub fn string(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => _ = write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text, or `null`.
pub fn optional(text: Option<&str>) -> String {
    text.map_or("null".to_owned(), string)
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned_and_quotes_escaped() {
        let rows = [vec!["ID".to_owned(), "NAME".to_owned()], vec!["1234".to_owned(), "a".to_owned()]];
        assert_eq!(super::table(&rows), "ID    NAME\n1234  a\n");
        assert_eq!(super::string("a\"\\\n"), r#""a\"\\\u000a""#);
        assert_eq!(super::array(&[super::object(&[("a", "1".to_owned())])]), "[\n{\"a\":1}\n]");
    }
}
