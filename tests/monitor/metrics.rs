//! What XAPI measures, from a server on a Unix socket that answers as XAPI does.

use super::monitord::Monitord;
use super::site::{HOST, Site, part, running, uuid};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

/// Answers each request with a row for every 5 s since `start`; VM 1 receives 1000 bytes a second and uses
/// half of one of its two CPUs.
pub fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let start = line.split_once("start=").unwrap().1.split('&').next().unwrap();
            let start: u64 = start.parse().unwrap();
            let names = ["cpu0", "cpu1", "vif_0_rx", "vbd_xvda_write", "memory"];
            let legend: String =
                names.iter().fold(String::new(), |text, name| text + &entry("vm", &uuid(1), name));
            let row = |time| {
                format!("<row><t>{time}</t><v>0.5</v><v>0</v><v>1000</v><v>10</v><v>NaN</v><v>77</v></row>")
            };
            let body = format!(
                "<xport><meta><start>{start}</start><step>5</step><legend>{legend}{}</legend></meta><data>{}{}</data></xport>",
                entry("host", HOST, "pif_eth0_tx"),
                row(start + 5),
                row(start)
            );
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
}

fn entry(class: &str, uuid: &str, name: &str) -> String {
    format!("<entry>AVERAGE:{class}:{uuid}:{name}</entry>")
}

/// The text in the MONITOR of the first VM.
fn monitor(text: &str) -> String {
    let packed = text.split_once("MONITOR=\"").unwrap().1.split('"').next().unwrap();
    String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap()
}

/// The value of a name in it.
fn value(text: &str, name: &str) -> Option<f64> {
    let inner = monitor(text);
    let line = inner.lines().find_map(|line| line.strip_prefix(&format!("{name}=\"")))?.to_owned();
    Some(line.trim_end_matches('"').parse().unwrap())
}

#[test]
fn counters_grow_and_survive_a_new_client() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    serve(&site.path("xapi"));
    let first = part(&site.start().ok(), "MONITOR_VM");
    assert_eq!(value(&first, "MEMORY"), Some(524_288.0));
    assert_eq!(value(&first, "CPU"), Some(50.0));
    assert_eq!(value(&first, "NETRX"), Some(5000.0));
    assert_eq!(value(&first, "NETTX"), None);
    monitord.wait_for("MONITOR_HOST", "NETTX=", 0);
    let mut last = 5000.0;
    for _ in 0..2 {
        let before = monitord.count();
        for _ in 0..3 {
            let now = value(&monitord.wait_for("MONITOR_VM", "", before).text, "NETRX").unwrap();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
        let restarted = value(&part(&site.start().ok(), "MONITOR_VM"), "NETRX").unwrap();
        assert!(restarted >= last, "{restarted} after {last}");
        last = restarted;
    }
    let text = monitord.wait_for("MONITOR_VM", "", 0).text;
    assert_eq!(value(&text, "NETRX_BW"), Some(1000.0), "{text}");
    assert!(!site.log().contains("metrics"), "{}", site.log());
}

#[test]
fn without_the_socket_each_vm_is_asked_for_its_cpu_and_the_lack_said_once() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    let first = part(&site.start().ok(), "MONITOR_VM");
    assert_eq!((value(&first, "MEMORY"), value(&first, "CPU")), (Some(524_288.0), Some(37.5)));
    assert_eq!(value(&first, "NETRX"), None);
    let count = || monitord.got().iter().filter(|got| got.kind == "MONITOR_VM").count();
    let before = count();
    super::eventually("three rounds", || count() > before + 2);
    // Once by the control script, once by the client.
    assert_eq!(site.log().matches("no figures of networks").count(), 2, "{}", site.log());
}

#[test]
fn without_the_socket_so_many_vms_are_asked_in_a_round_and_all_in_turn() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&(1..=80).map(running).collect::<Vec<_>>());
    let with_cpu = |text: &str| {
        let lines = text.lines().filter(|line| value(line, "CPU").is_some());
        lines.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with_cpu(&part(&site.start().ok(), "MONITOR_VM")).len(), 32);
    // The client begins anew.
    let told = || -> Vec<Vec<String>> {
        let got = monitord.got().into_iter().filter(|got| got.kind == "MONITOR_VM");
        got.map(|got| with_cpu(&got.text)).collect()
    };
    super::eventually("three rounds", || told().len() > 2);
    let rounds: Vec<Vec<String>> = told().into_iter().take(3).collect();
    assert!(rounds.iter().all(|vms| vms.len() == 32), "{rounds:?}");
    let all: HashSet<&String> = rounds.iter().flatten().collect();
    assert_eq!(all.len(), 80, "{rounds:?}");
}

#[test]
fn addresses_and_disks_are_asked_in_turns_and_told_every_time() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    let vms: Vec<_> = (1..300).map(running).collect();
    site.vms(&vms);
    let first = monitor(&part(&site.start().ok(), "MONITOR_VM"));
    assert!(first.contains("GUEST_IP=\"10.0.0.2\"\nGUEST_IP_ADDRESSES=\"10.0.0.2\"\n"), "{first}");
    let disk = "DISK_SIZE=[ID=0,SIZE=2]";
    let whole = || {
        let got =
            monitord.got().into_iter().rfind(|got| got.kind == "MONITOR_VM" && got.text.contains("ID=\"1\""));
        got.map(|got| monitor(&got.text)).filter(|text| text.contains(disk) && text.contains("GUEST_IP="))
    };
    super::eventually("all of it is told", || whole().is_some());
    let before = monitord.count();
    for _ in 0..2 {
        monitord.wait_for("MONITOR_VM", "ID=\"1\"", before);
        assert!(whole().is_some());
    }
}
