//! OpenNebula's own settings of datastores, `etc/datastore/datastore.conf` below the remotes, which its scripts source.

use super::shell_setting;
use crate::report::Result;
use anyhow::Context;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

const FILE: &str = "etc/datastore/datastore.conf";

/// What is set there. By hand, away from the remotes, nothing is.
#[derive(Debug, Default)]
pub struct DatastoreConf {
    values: HashMap<String, String>,
}

impl DatastoreConf {
    /// The settings beside the script `called_as`, `…/remotes/tm/xcp/mkimage`.
    pub fn load(called_as: &Path) -> Result<DatastoreConf> {
        let mut files = called_as.ancestors().skip(1).map(|folder| folder.join(FILE));
        let Some(file) = files.find(|file| file.is_file()) else { return Ok(DatastoreConf::default()) };
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(DatastoreConf::parse(&text))
    }

    /// Lines that are no settings are left to others; of two the last counts.
    fn parse(text: &str) -> DatastoreConf {
        let settings = text.lines().filter_map(|line| shell_setting::read(line).ok().flatten());
        DatastoreConf { values: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// A setting; none if it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::DatastoreConf;

    #[test]
    fn the_last_line_that_sets_it_counts() {
        let conf = DatastoreConf::parse("#A=\"/c\"\nA=\"/a\"\nif x\nexport A=/b # c\nB=\"\"\n");
        assert_eq!((conf.get("A"), conf.get("B"), conf.get("C")), (Some("/b"), None, None));
    }
}
