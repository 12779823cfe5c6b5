//! Whether a server is the host that it should be. `xe` checks no certificate (xapi newcli.ml, `~verify_cert:None`), and
//! sends the password to whoever answers. So its certificate is looked at first, on a connection of our own: who is in
//! between for all connections gets no password. `xe` then makes a connection of its own, which nobody looks at.

use crate::report::Result;
use crate::xapi::{self, Trust};
use anyhow::Context;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server is believed: for the calls of one step.
const BELIEVED: Duration = Duration::from_secs(10);

/// What makes a server good, and the one that was found good last.
#[derive(Debug)]
pub struct ServerCheck {
    /// As in the settings XAPI_FINGERPRINT, XAPI_CA_FILE and XAPI_PORT; read when they are needed.
    pub fingerprints: String,
    pub ca_file: Option<String>,
    pub port: String,
    good: Mutex<Option<(String, Instant)>>,
}

impl ServerCheck {
    /// None where no setting says which certificates are good: no server is looked at then.
    pub fn of_settings(fingerprints: &str, ca_file: Option<&str>, port: &str) -> Option<ServerCheck> {
        (!fingerprints.trim().is_empty() || ca_file.is_some()).then(|| ServerCheck {
            fingerprints: fingerprints.to_owned(),
            ca_file: ca_file.map(str::to_owned),
            port: port.to_owned(),
            good: Mutex::default(),
        })
    }

    /// # Errors
    ///
    /// The server cannot be reached, or its certificate is none of the good ones.
    pub fn check(&self, server: &str) -> Result<()> {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.as_ref().is_some_and(|(name, since)| name == server && since.elapsed() < BELIEVED) {
            return Ok(());
        }
        *good = None;
        let trust = Trust::read(&self.fingerprints, self.ca_file.as_deref())?;
        let port = self.port.parse().context("XAPI_PORT is no port")?;
        xapi::check_certificate(server, port, &trust)
            .with_context(|| format!("{server} gets no password from xe"))?;
        *good = Some((server.to_owned(), Instant::now()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ServerCheck;

    #[test]
    fn servers_are_looked_at_where_a_setting_says_which_are_good() {
        assert!(ServerCheck::of_settings(" ", None, "443").is_none());
        let check = ServerCheck::of_settings("12", None, "443").unwrap();
        assert!(format!("{:#}", check.check("127.0.0.1").unwrap_err()).starts_with("XAPI_FINGERPRINT"));
    }
}
