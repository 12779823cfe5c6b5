//! Flows of the network driver on this host's bridges that no NIC needs any more.

use super::End;
use crate::admin::text;
use crate::report;
use crate::vnm::leftovers;
use crate::xe::Xe;

const KIND: &str = "flows";

/// A bridge, and how many flows of ours on it are nobody's.
pub struct Flows {
    bridge: String,
    count: usize,
}

pub fn look_up(xe: &Xe) -> report::Result<Vec<Flows>> {
    let found = leftovers::flows(xe)?;
    Ok(found.into_iter().map(|(bridge, count)| Flows { bridge, count }).collect())
}

/// What becomes of those that were found, on whatever bridge.
pub fn settle(xe: &Xe, yes: bool) -> End {
    if !yes {
        return End::WouldBeRemoved;
    }
    match leftovers::remove_flows(xe) {
        Ok(()) => End::Removed,
        Err(why) => End::failed(&why),
    }
}

impl Flows {
    /// A line for people, or JSON.
    pub fn show(&self, end: &End, json: bool) -> String {
        let (word, more) = end.words();
        let why = format!("{} of NICs that this host does not have", self.count);
        if json {
            return text::object(&[
                ("is", text::string(word)),
                ("kind", text::string(KIND)),
                ("bridge", text::string(&self.bridge)),
                ("why", text::string(&why)),
                ("more", text::string(more)),
            ]);
        }
        let more = if more.is_empty() { String::new() } else { format!("; {more}") };
        format!("{word:<8} {KIND} of bridge {}: {why}{more}", self.bridge)
    }
}
