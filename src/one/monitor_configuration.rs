//! What OpenNebula's monitoring tells a probe on standard input: `<MONITOR_CONFIGURATION>`, written by
//! onemonitord in one fixed shape.

use super::input;
use crate::report::Result;
use anyhow::Context;
use serde::Deserialize;
use std::io::{IsTerminal, Read, stdin};

/// The parts that probes use.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct MonitorConfiguration {
    /// Where the datastores are on the host.
    pub datastore_location: String,
    /// OpenNebula's number of the host.
    pub host_id: u32,
}

impl MonitorConfiguration {
    /// Reads standard input; by hand there is nothing on it.
    pub fn from_stdin() -> Result<Option<MonitorConfiguration>> {
        if stdin().is_terminal() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        stdin().read_to_end(&mut bytes).context("cannot read the monitoring configuration")?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        MonitorConfiguration::parse(&input::decode("the monitoring configuration", bytes)?).map(Some)
    }

    /// Reads the document. Its lists come interleaved with other elements.
    pub fn parse(text: &str) -> Result<MonitorConfiguration> {
        let reader = serde_xml_rs::SerdeXml::new().overlapping_sequences(true);
        reader.from_str(text).context("the monitoring configuration is not as OpenNebula writes it")
    }
}

#[cfg(test)]
mod tests {
    use super::MonitorConfiguration;

    #[test]
    fn the_recorded_configuration_is_read() {
        let text = include_str!("../../tests/recorded/opennebula-7.4/run_monitord_client/stdin");
        let read = MonitorConfiguration::parse(text).unwrap();
        assert_eq!(
            read,
            MonitorConfiguration { datastore_location: "/var/lib/one//datastores".to_owned(), host_id: 0 }
        );
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        assert!(MonitorConfiguration::parse("<VM><ID>1</ID></VM>").is_err());
    }
}
