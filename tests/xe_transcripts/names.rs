//! Which simulated uuid or MAC stands for which recorded one.

use std::collections::HashMap;

/// A one-to-one mapping between recorded and simulated names, learnt while a transcript is replayed.
#[derive(Clone, Default)]
pub struct Names {
    simulated: HashMap<String, String>,
    recorded: HashMap<String, String>,
}

impl Names {
    /// Takes the two for the same thing; false if one of them already stands for something else.
    pub fn bind(&mut self, recorded: &str, simulated: &str) -> bool {
        if let Some(known) = self.simulated.get(recorded) {
            return known == simulated;
        }
        if self.recorded.contains_key(simulated) {
            return false;
        }
        self.simulated.insert(recorded.to_owned(), simulated.to_owned());
        self.recorded.insert(simulated.to_owned(), recorded.to_owned());
        true
    }

    pub fn knows(&self, recorded: &str) -> bool {
        self.simulated.contains_key(recorded)
    }

    /// How many names are known.
    pub fn count(&self) -> usize {
        self.simulated.len()
    }

    /// A recorded argument with simulated names in it; names nobody has seen stand for themselves.
    pub fn translate(&mut self, recorded: &str) -> String {
        let mut text = String::new();
        for piece in pieces(recorded) {
            match piece {
                Piece::Name(name) => {
                    self.bind(name, name);
                    text.push_str(self.simulated.get(name).map_or(name, String::as_str));
                }
                Piece::Time(other) | Piece::Text(other) => text.push_str(other),
            }
        }
        text
    }
}

/// A part of a text: something that differs from run to run, or what stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A uuid or a MAC.
    Name(&'a str),
    Time(&'a str),
    Text(&'a str),
}

const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const MAC: &str = "xx:xx:xx:xx:xx:xx";
const TIME: &str = "ddddddddTdd:dd:ddZ";

/// Cuts a text at uuids, MACs and times.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let found = [(UUID, 0), (MAC, 1), (TIME, 2)].iter().find_map(|&(shape, kind)| {
            let part = rest.get(..shape.len()).filter(|part| has_shape(part, shape))?;
            Some(if kind == 2 { Piece::Time(part) } else { Piece::Name(part) })
        });
        match found {
            Some(piece @ (Piece::Name(part) | Piece::Time(part))) => {
                pieces.extend((start < at).then(|| Piece::Text(&text[start..at])));
                pieces.push(piece);
                at += part.len();
                start = at;
            }
            _ => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    pieces.extend((start < at).then(|| Piece::Text(&text[start..at])));
    pieces
}

fn has_shape(part: &str, shape: &str) -> bool {
    part.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
        b'x' => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_uuids_macs_and_times() {
        let text = "vm d0000000-0000-4000-8000-000000000001 é 36:37:37:37:37:37 20261122T22:37:50Z.";
        let expected = [
            Piece::Text("vm "),
            Piece::Name("d0000000-0000-4000-8000-000000000001"),
            Piece::Text(" é "),
            Piece::Name("36:37:37:37:37:37"),
            Piece::Text(" "),
            Piece::Time("20261122T22:37:50Z"),
            Piece::Text("."),
        ];
        assert_eq!(pieces(text), expected);
    }
}
