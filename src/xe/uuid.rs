//! The names XAPI gives its objects.

use crate::report::Result;
use anyhow::{Error, bail};
use std::fmt;
use std::str::FromStr;

/// A checked uuid in lower case; never empty, so no call can select everything by mistake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(String);

impl FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Uuid> {
        let text = text.trim();
        let groups: Vec<&str> = text.split('-').collect();
        let shaped = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
        if !shaped || !groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            bail!("{:?} is not a uuid", text.chars().take(60).collect::<String>());
        }
        Ok(Uuid(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Uuid;

    #[test]
    fn only_a_whole_uuid_is_one() {
        assert!("A1111111-2222-3333-4444-000000000001".parse::<Uuid>().is_ok());
        for text in
            ["", "one-1", "11111111-2222-3333-4444-00000000001", "g1111111-2222-3333-4444-000000000001"]
        {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }
}
