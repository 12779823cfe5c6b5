//! One `xe` command line as a value: run now, kept for undo, printed in an error.

use crate::report::Result;
use anyhow::ensure;
use std::fmt;

/// The longest value that an error message shows whole.
const SHOWN_CHARS: usize = 80;

/// What the names of values contain that are not shown. `one_vnc` holds the sealed password of a console.
const SECRETS: [&str; 2] = ["password", "one_vnc"];

/// A verb and its `key=value` parameters.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    verb: String,
    params: Vec<(String, String)>,
}

/// Begins a call of `verb`.
pub fn call(verb: impl Into<String>) -> Call {
    Call { verb: verb.into(), params: Vec::new() }
}

impl Call {
    /// Adds `key=value`.
    #[expect(clippy::needless_pass_by_value, reason = "calls read better with plain values than with &4")]
    pub fn set(mut self, key: impl Into<String>, value: impl ToString) -> Call {
        self.params.push((key.into(), value.to_string()));
        self
    }

    /// Adds several `key=value` pairs, in their order.
    pub fn set_all<K: Into<String>, V: ToString>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Call {
        pairs.into_iter().fold(self, |call, (key, value)| call.set(key, value))
    }

    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// The object that this parameter names, if it names one.
    pub fn uuid(&self, key: &str) -> Option<super::Uuid> {
        let (_, value) = self.params.iter().find(|(name, _)| name == key)?;
        value.parse().ok()
    }

    /// Whether it only reads, and so may be asked again whatever became of the first time.
    pub fn only_reads(&self) -> bool {
        ["-list", "-param-get", "-param-list", "-data-source-query"]
            .iter()
            .any(|end| self.verb.ends_with(end))
    }

    /// Whether it lists objects wherever in the pool they are.
    pub fn is_of_whole_pool(&self) -> bool {
        let names_one = |key: &str| key == "uuid" || key.ends_with("-uuid") || key == "resident-on";
        self.verb.ends_with("-list") && !self.params.iter().any(|(key, _)| names_one(key))
    }

    /// The arguments as `xe` takes them.
    ///
    /// `xe` sends its arguments as lines (xapi newcli.ml:817): a line break in a value would begin another
    /// argument. An empty uuid selects nothing or everything, according to the verb.
    pub fn arguments(&self) -> Result<Vec<String>> {
        for (key, value) in &self.params {
            ensure!(!value.contains(['\n', '\r', '\0']), "{key} has a line break, which xe cannot take");
            let names_object = key == "uuid" || key.ends_with("-uuid");
            ensure!(
                !(names_object && value.trim().is_empty()),
                "{key} is empty, and xe could take it for all"
            );
        }
        let params = self.params.iter().map(|(key, value)| format!("{key}={value}"));
        Ok(std::iter::once(self.verb.clone()).chain(params).collect())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xe {}", self.verb)?;
        for (key, value) in &self.params {
            if SECRETS.iter().any(|secret| key.contains(secret)) {
                write!(f, " {key}=(hidden)")?;
            } else if value.chars().count() > SHOWN_CHARS {
                write!(f, " {key}={}…", value.chars().take(SHOWN_CHARS).collect::<String>())?;
            } else {
                write!(f, " {key}={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::call;

    #[test]
    fn arguments_keep_their_order() {
        let args = call("vm-param-set").set("uuid", "u").set("VCPUs-max", 4).arguments().unwrap();
        assert_eq!(args, ["vm-param-set", "uuid=u", "VCPUs-max=4"]);
    }

    #[test]
    fn a_line_break_and_an_empty_uuid_are_refused() {
        assert!(call("vm-param-set").set("name-label", "a\nuuid=x").arguments().is_err());
        assert!(call("vm-destroy").set("uuid", "").arguments().is_err());
        assert!(call("vbd-list").set("vm-uuid", " ").arguments().is_err());
    }

    #[test]
    fn a_list_of_one_hosts_vms_is_not_of_the_whole_pool() {
        assert!(call("vm-list").set("is-control-domain", "false").is_of_whole_pool());
        assert!(!call("vm-list").set("resident-on", "u").is_of_whole_pool());
        assert!(!call("vbd-list").set("vm-uuid", "u").is_of_whole_pool());
        assert!(!call("vm-start").is_of_whole_pool());
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = call("vm-migrate").set("remote-password", "secret").to_string();
        assert!(!shown.contains("secret"), "{shown}");
        let shown = call("vm-param-set").set("other-config:one_vnc", "127.0.0.1:5901 2-secret").to_string();
        assert!(!shown.contains("secret"), "{shown}");
    }
}
