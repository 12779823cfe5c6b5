//! What OpenNebula's monitoring tells a probe on standard input: `<MONITOR_CONFIGURATION>`, written by
//! onemonitord in one fixed shape.

use super::input;
use crate::report::Result;
use anyhow::Context;
use serde::Deserialize;
use std::io::{IsTerminal, stdin};

/// The parts that the monitoring client and its probes use.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct MonitorConfiguration {
    /// Where the datastores are on the host.
    pub datastore_location: String,
    /// OpenNebula's number of the host.
    pub host_id: u32,
    #[serde(default, rename = "IM_MAD")]
    pub im_mads: Vec<ImMad>,
    #[serde(default)]
    pub network: Network,
    #[serde(default)]
    pub probes_period: ProbesPeriod,
}

/// Where onemonitord listens.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct Network {
    /// The address it is reached at, or `auto`: the one that the connection to this host came from.
    pub monitor_address: String,
    pub port: u16,
    /// A PEM key with blanks for line breaks; empty: messages go unencrypted.
    pub pubkey: String,
}

/// monitord.conf's own defaults.
impl Default for Network {
    fn default() -> Network {
        Network { monitor_address: AUTO.to_owned(), port: 4124, pubkey: String::new() }
    }
}

/// An information driver.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct ImMad {
    pub name: String,
    pub executable: String,
}

/// The driver whose scripts run on the front-end, where onemonitord is.
const LOCAL: &str = "one_im_sh";

impl MonitorConfiguration {
    /// The name or address to send to. `ssh_client` is `$SSH_CLIENT`, `ADDRESS PORT PORT`. On the front-end it is
    /// nothing to go by: it would be who started OpenNebula by hand.
    pub fn monitor_address<'a>(&'a self, im_mad: &str, ssh_client: Option<&'a str>) -> Result<&'a str> {
        let is_local = self.im_mads.iter().any(|mad| mad.name == im_mad && mad.executable == LOCAL);
        match self.network.monitor_address.trim() {
            AUTO | "" if is_local => Ok("127.0.0.1"),
            AUTO | "" => ssh_client.and_then(|client| client.split_whitespace().next()).context(
                "MONITOR_ADDRESS is auto, and without ssh there is no telling where onemonitord is: set it in monitord.conf",
            ),
            given => Ok(given),
        }
    }
}

/// The value of MONITOR_ADDRESS that means "where the connection came from".
const AUTO: &str = "auto";

/// How often each kind of message is sent, in seconds.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct ProbesPeriod {
    pub beacon_host: u64,
    pub system_host: u64,
    pub monitor_host: u64,
    pub state_vm: u64,
    pub exec_vm: u64,
    pub monitor_vm: u64,
    /// How often STATE_VM tells all VMs, not only those whose state has changed.
    pub sync_state_vm: u64,
}

/// monitord.conf's own defaults.
impl Default for ProbesPeriod {
    fn default() -> ProbesPeriod {
        ProbesPeriod {
            beacon_host: 30,
            system_host: 600,
            monitor_host: 120,
            state_vm: 5,
            exec_vm: 5,
            monitor_vm: 30,
            sync_state_vm: 180,
        }
    }
}

impl MonitorConfiguration {
    /// Reads standard input; by hand there is nothing on it.
    pub fn from_stdin() -> Result<Option<MonitorConfiguration>> {
        MonitorConfiguration::text_from_stdin()?.map(|text| MonitorConfiguration::parse(&text)).transpose()
    }

    /// Standard input as plain XML, for programs that want it passed on.
    pub fn text_from_stdin() -> Result<Option<String>> {
        if stdin().is_terminal() {
            return Ok(None);
        }
        input::read_optional("the monitoring configuration", stdin().lock())
    }

    /// Reads the document. Its lists come interleaved with other elements.
    pub fn parse(text: &str) -> Result<MonitorConfiguration> {
        let reader = serde_xml_rs::SerdeXml::new().overlapping_sequences(true);
        reader.from_str(text).context("the monitoring configuration is not as OpenNebula writes it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_configuration_is_read() {
        let text = include_str!("../../tests/recorded/opennebula-7.4/run_monitord_client/stdin");
        let read = MonitorConfiguration::parse(text).unwrap();
        assert_eq!((read.datastore_location.as_str(), read.host_id), ("/var/lib/one//datastores", 0));
        let network = Network { monitor_address: "127.0.0.1".to_owned(), ..Network::default() };
        assert_eq!(read.network, network);
        let periods = ProbesPeriod {
            beacon_host: 10,
            system_host: 30,
            monitor_host: 10,
            monitor_vm: 10,
            ..ProbesPeriod::default()
        };
        assert_eq!(read.probes_period, periods);
    }

    #[test]
    fn what_is_missing_is_as_monitord_conf_has_it() {
        let text = "<MONITOR_CONFIGURATION><DATASTORE_LOCATION>/d</DATASTORE_LOCATION><HOST_ID>3</HOST_ID>\
            <PROBES_PERIOD><STATE_VM>7</STATE_VM></PROBES_PERIOD></MONITOR_CONFIGURATION>";
        let read = MonitorConfiguration::parse(text).unwrap();
        assert_eq!(read.network, Network::default());
        assert_eq!(read.probes_period, ProbesPeriod { state_vm: 7, ..ProbesPeriod::default() });
    }

    /// monitord.conf of 5.12 to 6.10 knows no EXEC_VM; the order of sections differs.
    #[test]
    fn configurations_of_older_releases_are_read() {
        let im_mad = "<IM_MAD><ARGUMENTS>-r 3 -t 15 -w 90 xcp</ARGUMENTS><EXECUTABLE>one_im_ssh</EXECUTABLE>\
            <NAME>xcp</NAME><SUNSTONE_NAME>XCP</SUNSTONE_NAME><THREADS>0</THREADS></IM_MAD>";
        let network = "<NETWORK><ADDRESS>0.0.0.0</ADDRESS><MONITOR_ADDRESS>auto</MONITOR_ADDRESS><PORT>4124</PORT>\
            <PRIKEY/><PUBKEY/><THREADS>8</THREADS></NETWORK>";
        let periods = "<PROBES_PERIOD><BEACON_HOST>30</BEACON_HOST><MONITOR_HOST>120</MONITOR_HOST>\
            <MONITOR_VM>30</MONITOR_VM><STATE_VM>5</STATE_VM><SYNC_STATE_VM>180</SYNC_STATE_VM>\
            <SYSTEM_HOST>600</SYSTEM_HOST></PROBES_PERIOD>";
        let host = "<DATASTORE_LOCATION>/var/lib/one//datastores</DATASTORE_LOCATION><HOST_ID>3</HOST_ID>";
        for parts in [[im_mad, network, periods, host], [host, periods, im_mad, network]] {
            let text = format!("<MONITOR_CONFIGURATION>{}</MONITOR_CONFIGURATION>", parts.concat());
            let read = MonitorConfiguration::parse(&text).unwrap();
            assert_eq!((read.host_id, &read.network), (3, &Network::default()), "{text}");
            assert_eq!(read.probes_period, ProbesPeriod::default());
            assert_eq!(read.monitor_address("xcp", Some("fd00::5 50022 22")).unwrap(), "fd00::5");
        }
    }

    #[test]
    fn auto_is_where_the_connection_came_from() {
        let text = include_str!("../../tests/recorded/opennebula-7.4/run_monitord_client/stdin");
        let auto =
            text.replace("<MONITOR_ADDRESS><![CDATA[127.0.0.1]]>", "<MONITOR_ADDRESS><![CDATA[auto]]>");
        let read = MonitorConfiguration::parse(&auto).unwrap();
        let address = |im_mad: &str, ssh_client| read.monitor_address(im_mad, ssh_client);
        assert_eq!(address("xcp", Some("192.0.2.7 50022 22")).unwrap(), "192.0.2.7");
        assert!(address("xcp", None).unwrap_err().to_string().starts_with("MONITOR_ADDRESS is auto"));
        // The only one of the recorded drivers that runs on the front-end.
        assert_eq!(address("dummy", Some("192.0.2.7 50022 22")).unwrap(), "127.0.0.1");
        assert_eq!(address("dummy", None).unwrap(), "127.0.0.1");
        let given = MonitorConfiguration::parse(&text.replace("127.0.0.1", "192.0.2.9")).unwrap();
        assert_eq!(given.monitor_address("dummy", None).unwrap(), "192.0.2.9");
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        assert!(MonitorConfiguration::parse("<VM><ID>1</ID></VM>").is_err());
    }
}
