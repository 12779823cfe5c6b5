//! The JSON of the recorded transcripts: one object a line.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Self {
        let mut rest = text.chars().peekable();
        let value = value(&mut rest);
        assert!(rest.all(char::is_whitespace), "something follows the value: {text}");
        value
    }

    /// A member of an object; absent is null.
    pub fn get(&self, name: &str) -> &Json {
        let Json::Object(members) = self else { panic!("not an object: {self:?}") };
        members.iter().find(|(key, _)| key == name).map_or(&Json::Null, |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        let Json::Text(text) = self else { panic!("not a string: {self:?}") };
        text
    }

    pub fn list(&self) -> &[Json] {
        let Json::List(items) = self else { panic!("not an array: {self:?}") };
        items
    }
}

fn value(rest: &mut Peekable<Chars>) -> Json {
    skip_blanks(rest);
    match *rest.peek().expect("the value is missing") {
        '"' => Json::Text(string(rest)),
        '[' => Json::List(items(rest, '[', ']', value)),
        '{' => Json::Object(items(rest, '{', '}', |rest| {
            let name = string(rest);
            skip_blanks(rest);
            assert_eq!(rest.next(), Some(':'));
            (name, value(rest))
        })),
        _ => match word(rest).as_str() {
            "null" => Json::Null,
            number => Json::Number(number.to_owned()),
        },
    }
}

fn items<T>(
    rest: &mut Peekable<Chars>,
    open: char,
    close: char,
    item: impl Fn(&mut Peekable<Chars>) -> T,
) -> Vec<T> {
    assert_eq!(rest.next(), Some(open));
    let mut items = Vec::new();
    loop {
        skip_blanks(rest);
        if rest.next_if_eq(&close).is_some() {
            return items;
        }
        if !items.is_empty() {
            assert_eq!(rest.next(), Some(','));
            skip_blanks(rest);
        }
        items.push(item(rest));
    }
}

fn string(rest: &mut Peekable<Chars>) -> String {
    assert_eq!(rest.next(), Some('"'));
    let mut text = String::new();
    loop {
        match rest.next().expect("the string has no end") {
            '"' => return text,
            '\\' => match rest.next().expect("the escape has no end") {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).expect("four hexadecimal digits");
                    text.push(char::from_u32(code).expect("no surrogates in the transcripts"));
                }
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn word(rest: &mut Peekable<Chars>) -> String {
    let mut word = String::new();
    while let Some(letter) = rest.next_if(|letter| letter.is_alphanumeric() || ".+-".contains(*letter)) {
        word.push(letter);
    }
    assert!(!word.is_empty(), "not a value");
    word
}

fn skip_blanks(rest: &mut Peekable<Chars>) {
    while rest.next_if(|letter| letter.is_whitespace()).is_some() {}
}
