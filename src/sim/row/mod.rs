//! The rows of the simulated pool: which classes there are, and what one row holds.

mod class;
mod defaults;

pub use class::Class;
pub use defaults::EPOCH;

use std::borrow::Cow;

/// Text that either lies in the state file as it was read, or was made since.
pub type Text = Cow<'static, str>;

/// One object. Maps and sets are kept entry by entry, as attributes named `field:key`, the newest first
/// as XAPI's database gives them back.
#[derive(Clone, Debug)]
pub struct Row {
    pub class: Class,
    pub uuid: Text,
    attributes: Vec<(Text, Text)>,
}

impl Row {
    /// A row that has only its uuid.
    pub fn new(class: Class, uuid: impl Into<Text>) -> Self {
        Self { class, uuid: uuid.into(), attributes: Vec::new() }
    }

    /// The same object under another uuid.
    pub fn copied(&self, uuid: String) -> Self {
        Self { uuid: uuid.into(), ..self.clone() }
    }

    /// An attribute's value; the class's default, or nothing, while nobody has set it.
    pub fn get(&self, name: &str) -> &str {
        if let Some((_, value)) = self.attributes.iter().find(|(known, _)| known == name) {
            return value;
        }
        self.class.defaults().iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Whether an attribute says `true`.
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == "true"
    }

    /// An attribute as a number, 0 where there is none.
    pub fn number(&self, name: &str) -> i64 {
        self.get(name).parse().unwrap_or(0)
    }

    /// Sets an attribute; a default is not kept.
    pub fn set(&mut self, name: impl Into<Text>, value: impl Into<Text>) {
        let (name, value) = (name.into(), value.into());
        let default = self.class.defaults().iter().find(|(known, _)| *known == name);
        let at = self.attributes.iter().position(|(known, _)| *known == name);
        if value == default.map_or("", |(_, value)| value) {
            if let Some(at) = at {
                self.attributes.remove(at);
            }
        } else if let Some((_, old)) = at.and_then(|at| self.attributes.get_mut(at)) {
            *old = value;
        } else {
            self.attributes.push((name, value));
        }
    }

    /// The entries of a map, newest first.
    pub fn entries<'r>(&'r self, field: &str) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.attributes.iter().filter_map(move |(name, value)| {
            let key = name.strip_prefix(field)?.strip_prefix(':')?;
            Some((key, value.as_ref()))
        })
    }

    /// One entry of a map.
    pub fn entry(&self, field: &str, key: &str) -> Option<&str> {
        self.entries(field).find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Puts an entry in front of a map (or a member into a set: its value is empty).
    pub fn put(&mut self, field: &str, key: &str, value: impl Into<Text>) {
        self.take(field, key);
        self.attributes.insert(0, (format!("{field}:{key}").into(), value.into()));
    }

    /// Takes an entry out of a map or a set.
    pub fn take(&mut self, field: &str, key: &str) {
        self.attributes.retain(|(name, _)| {
            name.strip_prefix(field).and_then(|rest| rest.strip_prefix(':')) != Some(key)
        });
    }

    /// Empties a map or a set.
    pub fn take_all(&mut self, field: &str) {
        self.attributes
            .retain(|(name, _)| !name.strip_prefix(field).is_some_and(|rest| rest.starts_with(':')));
    }

    /// Every attribute that is not at its default, as kept.
    pub fn attributes(&self) -> &[(Text, Text)] {
        &self.attributes
    }

    /// Adds an attribute as the state file holds it.
    pub fn keep(&mut self, name: Text, value: Text) {
        self.attributes.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_not_kept() {
        let mut vm = Row::new(Class::Vm, "u");
        vm.set("power-state", "running");
        assert_eq!(vm.get("power-state"), "running");
        vm.set("power-state", "halted");
        assert_eq!(vm.get("power-state"), "halted");
        assert!(vm.attributes().is_empty());
    }

    #[test]
    fn the_newest_entry_of_a_map_comes_first() {
        let mut vm = Row::new(Class::Vm, "u");
        vm.put("other-config", "a", "1");
        vm.put("other-config", "empty", "");
        vm.put("other-config", "a", "2");
        assert_eq!(vm.entries("other-config").collect::<Vec<_>>(), [("a", "2"), ("empty", "")]);
        vm.take("other-config", "a");
        assert_eq!(vm.entry("other-config", "a"), None);
        assert_eq!(vm.entry("other-config", "empty"), Some(""));
    }
}
