//! The counters in a file, for the next client of the host: the time, and a line of counts for each owner.

use super::{Counters, MOST_COUNTED, Owner};
use crate::xe::Uuid;
use std::fmt::Write;

impl Counters {
    /// For the next client of this host: the time, and a line of counts for each owner.
    pub fn save(&self) -> String {
        let mut text = format!("{}\n", self.last_time);
        for (uuid, owner) in &self.owners {
            _ = write!(text, "{uuid} {}", owner.last_time);
            for count in owner.counts {
                _ = match count {
                    Some(count) => write!(text, " {count}"),
                    None => write!(text, " -"),
                };
            }
            text.push('\n');
        }
        text
    }

    /// Reads what [`Counters::save`] wrote; what is damaged is left out.
    pub fn load(text: &str) -> Counters {
        let (time, lines) = text.split_once('\n').unwrap_or_default();
        let owners = lines.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let uuid: Uuid = words.next()?.parse().ok()?;
            let mut owner = Owner { last_time: words.next()?.parse().ok()?, ..Owner::default() };
            for (count, word) in owner.counts.iter_mut().zip(words) {
                *count = word.parse().ok().filter(|count: &f64| (0.0..=MOST_COUNTED).contains(count));
            }
            Some((uuid, owner))
        });
        Counters { last_time: time.parse().unwrap_or(0), ahead: 0, owners: owners.collect() }
    }
}
