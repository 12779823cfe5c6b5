//! The host's Open vSwitch: which ports its bridges have, and our flows on them.

use super::flows::{COOKIE, COOKIE_MASK, Set};
use crate::process::{self, Output};
use crate::report::{self, Result};
use anyhow::{Context, bail, ensure};
use std::collections::HashMap;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// For one call of the switch's programs.
const LIMIT: Duration = Duration::from_secs(60);

/// A bridge, and what is plugged into it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    pub name: String,
    pub ports: Vec<Port>,
}

/// An interface that is plugged in; a bond has several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The interface's name: of a guest's `vifDOMID.DEVICE` or `tapDOMID.DEVICE`.
    pub name: String,
    pub ofport: u32,
    /// Of an access port. None: a trunk, as is also the port of a guest on a network without a VLAN.
    pub tag: Option<u16>,
    /// As xapi writes them when it plugs a VIF in (xenopsd, scripts/common.py `get_external_ids`).
    pub vif_uuid: Option<String>,
    pub vm_uuid: Option<String>,
    pub mac: Option<String>,
}

impl Port {
    /// Of no other NIC of this host, from the domain's number and the device's.
    pub fn key(&self) -> Option<u32> {
        let (domain, device) = self.guest_name()?.split_once('.')?;
        Some(domain.parse::<u32>().ok()? * 256 + u32::from(device.parse::<u8>().ok()?))
    }

    fn guest_name(&self) -> Option<&str> {
        self.name.strip_prefix("vif").or_else(|| self.name.strip_prefix("tap"))
    }
}

/// Every bridge of the host's switch. None where the host has no Open vSwitch that answers.
pub fn bridges() -> Option<Vec<Bridge>> {
    let listed = run(
        "ovs-vsctl",
        &[
            "--timeout=30",
            "--format=csv",
            "--no-headings",
            "--data=bare",
            "--",
            "--columns=name,ports",
            "list",
            "Bridge",
            "--",
            "--columns=_uuid,tag,interfaces,name",
            "list",
            "Port",
            "--",
            "--columns=_uuid,name,ofport,external_ids,type",
            "list",
            "Interface",
        ],
    );
    Some(read(&listed.ok()?))
}

/// Rows of a bridge have two columns, those of a port four, those of an interface five.
fn read(listed: &str) -> Vec<Bridge> {
    let rows: Vec<Vec<String>> = listed.lines().map(columns).collect();
    let of_port = |uuid: &str| {
        rows.iter().find_map(|row| match row.as_slice() {
            [port, tag, interfaces, _] if port == uuid => Some((tag, interfaces)),
            _ => None,
        })
    };
    let of_interface = |uuid: &str, tag: &str| {
        let row = rows.iter().find(|row| row.len() == 5 && row.first().is_some_and(|first| first == uuid))?;
        let [_, name, number, ids, _] = row.as_slice() else { return None };
        let id = |key: &str| {
            let pair = ids.split(' ').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key);
            pair.map(|(_, value)| value.to_owned())
        };
        Some(Port {
            name: name.clone(),
            // Not yet, or not any more, plugged in: -1 or nothing.
            ofport: number.parse().ok()?,
            tag: tag.parse().ok().filter(|tag| *tag > 0),
            vif_uuid: id("xs-vif-uuid"),
            vm_uuid: id("xs-vm-uuid"),
            mac: id("attached-mac").map(|mac| mac.to_ascii_lowercase()),
        })
    };
    let ports = |uuid: &str| -> Vec<Port> {
        let Some((tag, interfaces)) = of_port(uuid) else { return Vec::new() };
        interfaces.split(' ').filter_map(|interface| of_interface(interface, tag)).collect()
    };
    let bridge = |row: &Vec<String>| match row.as_slice() {
        [name, uuids] => {
            Some(Bridge { name: name.clone(), ports: uuids.split(' ').flat_map(ports).collect() })
        }
        _ => None,
    };
    rows.iter().filter_map(bridge).collect()
}

/// The columns of a line of comma-separated values, in which `"` quotes, and is written twice for itself.
fn columns(line: &str) -> Vec<String> {
    let mut columns = vec![String::new()];
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(column) = columns.last_mut() else { break };
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => column.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => columns.push(String::new()),
            c => column.push(c),
        }
    }
    columns
}

/// How many flows of ours the bridge has of each cookie.
pub fn cookies(bridge: &str) -> Result<HashMap<u64, usize>> {
    let ours = format!("cookie={COOKIE:#x}/{COOKIE_MASK:#x}");
    let dumped = run("ovs-ofctl", &["dump-flows", bridge, &ours])?;
    let mut count = HashMap::new();
    for flow in dumped.lines().filter_map(|line| line.trim_start().strip_prefix("cookie=0x")) {
        let cookie = flow.split(',').next().unwrap_or_default();
        let cookie =
            u64::from_str_radix(cookie, 16).with_context(|| format!("ovs-ofctl gave a flow as {flow:?}"))?;
        *count.entry(cookie).or_default() += 1;
    }
    Ok(count)
}

/// Gives the bridge these flows, and takes those of `stale` cookies from it: all at once where the switch can
/// (OpenFlow 1.4), else the new ones first.
pub fn change(bridge: &str, sets: &[Set], stale: &[u64]) -> Result<()> {
    let mut lines: Vec<String> = sets
        .iter()
        .flat_map(|set| set.flows.iter().map(|flow| format!("add cookie={:#x},{flow}\n", set.cookie)))
        .collect();
    // What leads to the others comes last.
    lines.sort_by_key(|line| line.contains(",table=0,"));
    lines.extend(stale.iter().map(|cookie| format!("delete cookie={cookie:#x}/-1\n")));
    let text = lines.concat();
    let at_once = feed(&["-O", "OpenFlow14", "--bundle", "add-flows", bridge, "-"], &text)?;
    if at_once.status.success() {
        return Ok(());
    }
    let said = complaint(&at_once);
    let done = if said.contains("version negotiation failed") {
        feed(&["add-flows", bridge, "-"], &text)?
    } else {
        at_once
    };
    if done.status.success() {
        return Ok(());
    }
    let said = complaint(&done);
    ensure!(
        !said.contains("OFPBAC_BAD") && !said.contains("OFPBMC_BAD"),
        "the switch of this host knows no connections (conntrack), which security groups need: ovs-ofctl: {said}"
    );
    bail!("ovs-ofctl cannot set flows on {bridge}: {said}")
}

fn feed(arguments: &[&str], text: &str) -> Result<Output> {
    let mut file = tempfile::tempfile().context("cannot write the flows")?;
    file.write_all(text.as_bytes()).and_then(|()| file.rewind()).context("cannot write the flows")?;
    process::output_from(Command::new("ovs-ofctl").args(arguments), Stdio::from(file), LIMIT, None)
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = process::output(Command::new(program).args(arguments), LIMIT)?;
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), complaint(&output));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn complaint(output: &Output) -> String {
    let text = report::one_line(&String::from_utf8_lossy(&output.stderr));
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_by_their_bridge_with_what_xapi_wrote_of_them() {
        let bridges = read(concat!(
            "xenbr0,p1 p2 p3 p9\n",
            "p1,,i1 i4,bond0\np2,50,i2,vif3.0\np3,,i3,vif4.1\n\"p9\",,\"gone\",gone\n",
            "i1,eth0,1,,\ni4,eth1,2,,\n",
            "i2,vif3.0,7,\"attached-mac=02:00:00:00:00:01 xs-vif-uuid=v1 xs-vm-uuid=m1\",\n",
            "i3,vif4.1,-1,xs-vif-uuid=v2,\n",
        ));
        let [bridge] = bridges.as_slice() else { panic!("{bridges:?}") };
        let [eth, _, vif] = bridge.ports.as_slice() else { panic!("{bridge:?}") };
        assert!(eth.tag.is_none() && eth.key().is_none());
        assert_eq!((vif.ofport, vif.tag, vif.key()), (7, Some(50), Some(768)));
        assert_eq!((vif.vif_uuid.as_deref(), vif.vm_uuid.as_deref()), (Some("v1"), Some("m1")));
    }

    #[test]
    fn quoted_columns_keep_their_commas() {
        assert_eq!(columns(r#"a,"b, ""c""",,d"#), ["a", r#"b, "c""#, "", "d"]);
    }
}
