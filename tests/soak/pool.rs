//! A pool in which something happens all the time.

use super::common::Host;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// One change a second: VMs pause, go on, come and leave, each with a uuid of its own.
pub fn change(host: &Host, turn: u32) {
    let vm_id = turn % 20 + 1;
    match turn % 4 {
        0 => _ = host.xe(&["vm-pause", &format!("vm=one-{vm_id}")]),
        1 => {
            for paused in host.xe(&["vm-list", "power-state=paused", "--minimal"]).split(',') {
                if !paused.is_empty() {
                    host.xe(&["vm-unpause", &format!("uuid={paused}")]);
                }
            }
        }
        2 => come(host, 1000 + turn),
        _ => _ = host.xe(&["vm-uninstall", &format!("vm=one-{}", 1000 + turn - 1), "force=true"]),
    }
}

fn come(host: &Host, vm_id: u32) {
    let uuid =
        host.xe(&["vm-install", "template=Other install media", &format!("new-name-label=one-{vm_id}")]);
    let set = [
        "vm-param-set".to_owned(),
        format!("uuid={uuid}"),
        format!("other-config:one_vm_id={vm_id}"),
        format!("other-config:one_vm_uuid={uuid}"),
    ];
    host.xe(&set.each_ref().map(String::as_str));
    host.xe(&["vm-start", &format!("uuid={uuid}"), "on=xcp-a"]);
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
}

/// Answers `/rrd_updates` for the VMs that were there at the beginning, a row each 5 s.
pub fn serve_rrd_updates(host: &Host) {
    let vms = host.xe(&["vm-list", "is-control-domain=false", "--minimal"]);
    let mut legend = String::new();
    let mut values = String::new();
    for vm in vms.split(',') {
        for name in ["cpu0", "vif_0_rx", "vif_0_tx", "vbd_xvda_read", "vbd_xvda_write"] {
            write!(legend, "<entry>AVERAGE:vm:{vm}:{name}</entry>").unwrap();
            values.push_str("<v>0.5</v>");
        }
    }
    let listener = UnixListener::bind(host.path("xapi")).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 5 * 5;
            let body = format!(
                "<xport><meta><step>5</step><legend>{legend}</legend></meta>\
                 <data><row><t>{now}</t>{values}</row></data></xport>"
            );
            // The client may be at its end.
            _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}
