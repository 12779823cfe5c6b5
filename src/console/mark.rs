//! What a VM's `other-config` tells of its console: `127.0.0.1:5901`, and after a blank its sealed password.

use crate::report::Result;
use anyhow::{Context, ensure};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The key in `other-config`.
pub const MARK: &str = "one_vnc";

/// Stands for a password that could not be sealed: the console is not opened by anybody who has only this.
const NOT_KEPT: &str = "-";

/// Where a console listens, and whether it wants a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub listen: SocketAddr,
    seal: Option<String>,
}

impl Mark {
    /// `seal` is none without a password, and `Some(None)` when there is one that cannot be kept.
    pub fn new(listen: SocketAddr, seal: Option<Option<String>>) -> Mark {
        Mark { listen, seal: seal.map(|seal| seal.unwrap_or_else(|| NOT_KEPT.to_owned())) }
    }

    pub fn has_password(&self) -> bool {
        self.seal.is_some()
    }

    /// The sealed password.
    pub fn seal(&self) -> Option<&str> {
        self.seal.as_deref().filter(|seal| *seal != NOT_KEPT)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.listen)?;
        self.seal.iter().try_for_each(|seal| write!(f, " {seal}"))
    }
}

impl FromStr for Mark {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Mark> {
        let (listen, seal) = text.split_once(' ').map_or((text, None), |(listen, seal)| (listen, Some(seal)));
        let is_plain =
            |seal: &str| !seal.is_empty() && seal.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-');
        // No error shows the seal.
        ensure!(seal.is_none_or(is_plain), "{MARK} holds no sealed password after {listen:?}");
        let listen = listen.parse().with_context(|| format!("{MARK} begins with {listen:?}"))?;
        Ok(Mark { listen, seal: seal.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["127.0.0.1:5901", "[::]:5901 00ff", "0.0.0.0:65535 -"] {
            assert_eq!(text.parse::<Mark>().unwrap().to_string(), text);
        }
        assert!("0.0.0.0:5901 -".parse::<Mark>().unwrap().has_password());
        assert_eq!("0.0.0.0:5901 -".parse::<Mark>().unwrap().seal(), None);
        for text in ["", "5901", "localhost:5901", "127.0.0.1:5901 ", "127.0.0.1:5901 a; b"] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }
}
