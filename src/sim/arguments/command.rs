//! What the server makes of the words.

use super::value::{boolean, bytes};
use crate::sim::refuse::{Fail, Outcome};

/// A command as the server reads it: a verb and `key=value`s in their order, keys perhaps repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub verb: String,
    pub params: Vec<(String, String)>,
}

impl Command {
    /// Reads the words (xapi `cli_frontend.ml` `parse_commandline`).
    pub fn parse(words: &[String]) -> Outcome<Self> {
        let (verb, words) = words.split_first().ok_or(Fail::Syntax)?;
        if verb.contains('=') {
            return Err(Fail::Syntax);
        }
        let mut params = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some(name) = word.strip_prefix("--") {
                params.push((name.to_owned(), "true".to_owned()));
            } else if word.starts_with('-') {
                let key = match word.as_str() {
                    "-u" => "username",
                    "-pw" => "password",
                    "-s" | "-h" => "server",
                    "-p" => "port",
                    _ => return Err(Fail::Syntax),
                };
                let value = words.next().ok_or(Fail::Syntax)?;
                params.push((key.to_owned(), value.clone()));
            } else {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                params.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(Self { verb: verb.clone(), params })
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Outcome<&str> {
        self.get(name).ok_or_else(|| Fail::NoParameter(name.to_owned()))
    }

    /// A parameter that says yes or no.
    pub fn flag(&self, name: &str, default: bool) -> Outcome<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => boolean(value)
                .map_err(|text| Fail::Record(format!("Failed to parse parameter '{name}': {text}"))),
        }
    }

    /// A size in bytes.
    pub fn bytes(&self, name: &str) -> Outcome<i64> {
        bytes(name, self.need(name)?)
    }

    /// The entries of a map parameter: `name:key=value`, or `name-key=value` as of old.
    pub fn map(&self, name: &str) -> Vec<(&str, &str)> {
        let entries = self.params.iter().filter_map(|(key, value)| {
            let rest = key.strip_prefix(name)?;
            let mut letters = rest.chars();
            letters.next()?;
            let key = letters.as_str();
            (!key.is_empty()).then_some((key, value.as_str()))
        });
        entries.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_server_reads_keys_values_and_switches() {
        let command = Command::parse(&words(&["v", "a=b=c", "--x", "bare", "-u", "me"])).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            command.params,
            [pair("a", "b=c"), pair("x", "true"), pair("bare", ""), pair("username", "me")]
        );
        assert_eq!(Command::parse(&words(&["v", "-x", "y"])), Err(Fail::Syntax));
        assert_eq!(Command::parse(&words(&["v=w"])), Err(Fail::Syntax));
    }
}
