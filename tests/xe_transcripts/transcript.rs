//! Recorded commands, the steps between them that nobody recorded, and the list of what is not simulated.

use crate::json::Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// One recorded command and what the real `xe` answered.
pub struct Recorded {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A command by its transcript and line.
pub type Place = (String, usize);

pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/xe")
}

/// The commands of the transcript `name`, in order.
pub fn load(name: &str) -> Vec<Recorded> {
    let text = fs::read_to_string(directory().join(format!("{name}.jsonl"))).unwrap();
    text.lines().map(|line| recorded(&Json::parse(line))).collect()
}

fn recorded(line: &Json) -> Recorded {
    let texts = |json: &Json| json.list().iter().map(|item| item.text().to_owned()).collect();
    let env = match line.get("env") {
        Json::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), value.text().to_owned())).collect()
        }
        _ => Vec::new(),
    };
    let Json::Number(exit) = line.get("exit") else { panic!("exit is missing") };
    Recorded {
        argv: texts(line.get("argv")),
        env,
        exit: exit.parse().unwrap(),
        stdout: line.get("stdout").text().to_owned(),
        stderr: line.get("stderr").text().to_owned(),
    }
}

/// What `not-simulated.txt` lists: place → reason.
pub fn not_simulated() -> BTreeMap<Place, String> {
    entries("not-simulated.txt").map(|(place, reason)| (place, reason.join(" "))).collect()
}

/// What `between.txt` lists: place → the commands to run before it, in order.
pub fn between() -> BTreeMap<Place, Vec<Vec<String>>> {
    let mut steps = BTreeMap::<Place, Vec<Vec<String>>>::new();
    for (place, words) in entries("between.txt") {
        steps.entry(place).or_default().push(words);
    }
    steps
}

/// The lines `TRANSCRIPT LINE WORDS…` of a file; words with blanks stand in single quotes.
fn entries(file: &str) -> impl Iterator<Item = (Place, Vec<String>)> {
    let text = fs::read_to_string(directory().join(file)).unwrap();
    let lines: Vec<String> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    lines.into_iter().map(|line| {
        let mut words = words(&line);
        let (name, number) = (words.next().unwrap(), words.next().unwrap());
        let number = number.parse().unwrap_or_else(|_| panic!("no line number: {line}"));
        ((name, number), words.collect())
    })
}

fn words(line: &str) -> impl Iterator<Item = String> {
    let mut rest = line.trim().to_owned();
    iter::from_fn(move || {
        let end = rest.char_indices().scan(false, |quoted, (at, letter)| {
            *quoted ^= letter == '\'';
            Some((at, letter == ' ' && !*quoted))
        });
        let end = end.filter(|&(_, ends)| ends).map(|(at, _)| at).next().unwrap_or(rest.len());
        let word: String = rest.drain(..end).filter(|&letter| letter != '\'').collect();
        rest = rest.trim_start().to_owned();
        (end > 0).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_together() {
        let found: Vec<String> = words("life 21 xe vm-list 'name-label=a b' x").collect();
        assert_eq!(found, ["life", "21", "xe", "vm-list", "name-label=a b", "x"]);
    }

    #[test]
    fn every_listed_command_was_recorded() {
        for ((name, line), reason) in not_simulated() {
            assert!(line <= load(&name).len(), "{name} {line}");
            assert!(!reason.is_empty(), "{name} {line} has no reason");
        }
    }
}
