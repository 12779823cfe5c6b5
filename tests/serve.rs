//! XAPI's HTTP of the simulated pool, as any client sees it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Host;
use common::serve::Serving;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

const CONNECTED: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\n";

fn asked(serving: &Serving, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(&serving.socket).unwrap();
    stream.write_all(format!("{request} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    stream
}

fn answer(serving: &Serving, request: &str) -> String {
    let mut text = String::new();
    asked(serving, request).read_to_string(&mut text).unwrap();
    text
}

fn take<const N: usize>(from: &mut impl Read) -> [u8; N] {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).unwrap();
    bytes
}

/// The uuid of a VM of the pool.
fn uuid(host: &Host, name: &str) -> String {
    host.xe(&["vm-list", &format!("name-label={name}"), "--minimal"])
}

#[test]
fn rrd_updates_measures_a_host_and_the_vms_on_it_and_no_others() {
    let host = Host::with_pool(&["--vms", "2"]);
    let serving = host.serve("xcp-a");
    let text = answer(&serving, "GET /rrd_updates?start=-10&interval=5&cf=AVERAGE&host=true");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    let xcp_a = host.xe(&["host-list", "name-label=xcp-a", "--minimal"]);
    let (here, there) = (uuid(&host, "one-1"), uuid(&host, "one-2"));
    assert!(body.contains(&format!("<entry>AVERAGE:host:{xcp_a}:memory_free_kib</entry>")), "{body}");
    assert!(body.contains(&format!("<entry>AVERAGE:vm:{here}:vif_0_rx</entry>")), "{body}");
    assert!(!body.contains(&there), "{body}");
    assert!(body.contains("<step>5</step>"), "{body}");
    assert!((2..=3).contains(&body.matches("<row>").count()), "{body}");
    let only_vms = answer(&serving, &format!("GET /rrd_updates?start=-10&vm_uuid={here}"));
    assert!(only_vms.contains(&here) && !only_vms.contains(&xcp_a), "{only_vms}");
    let json = answer(&serving, "GET /rrd_updates?start=-10&host=true&json=true");
    assert!(json.contains("\"legend\":[\"AVERAGE:host:"), "{json}");
}

#[test]
fn refusals_have_xapis_codes() {
    let host = Host::with_pool(&["--vms", "2"]);
    let serving = host.serve("xcp-a");
    let (there, halted) = (uuid(&host, "one-2"), uuid(&host, "one-1"));
    host.xe(&["vm-shutdown", &format!("uuid={halted}"), "force=true"]);
    for (request, line) in [
        ("GET /rrd_updates".to_owned(), "HTTP/1.1 400 Bad Request\r\n"),
        ("GET /nothing".to_owned(), "HTTP/1.1 404 Not Found\r\n"),
        ("CONNECT /console".to_owned(), "HTTP/1.0 500 Internal Error\r\n"),
        ("CONNECT /console?uuid=none".to_owned(), "HTTP/1.0 500 Internal Error\r\n"),
        (format!("CONNECT /console?uuid={there}"), "HTTP/1.0 500 Internal Error\r\n"),
        (format!("CONNECT /console?uuid={halted}"), "HTTP/1.0 500 Internal Error\r\n"),
        ("CONNECT /elsewhere".to_owned(), "HTTP/1.0 403 Forbidden\r\n"),
        ("BREW /coffee".to_owned(), "HTTP/1.0 501 Method not implemented\r\n"),
    ] {
        let said = answer(&serving, &request);
        assert!(said.starts_with(line), "{request}: {said}");
    }
}

#[test]
fn a_console_is_an_rfb_screen_that_a_key_changes() {
    let host = Host::with_pool(&["--vms", "1"]);
    let serving = host.serve("xcp-a");
    let mut screen = asked(&serving, &format!("CONNECT /console?uuid={}", uuid(&host, "one-1")));
    assert_eq!(take::<{ CONNECTED.len() }>(&mut screen), CONNECTED);
    assert_eq!(&take(&mut screen), b"RFB 003.008\n");
    screen.write_all(b"RFB 003.008\n").unwrap();
    assert_eq!(take(&mut screen), [1, 1]);
    screen.write_all(&[1]).unwrap();
    assert_eq!(take(&mut screen), [0; 4]);
    screen.write_all(&[1]).unwrap();
    let init: [u8; 24] = take(&mut screen);
    assert_eq!(init[..4], [1, 64, 0, 200]);
    let mut name = vec![0; usize::from(init[23])];
    screen.read_exact(&mut name).unwrap();
    assert!(name.starts_with(b"QEMU ("));
    // One pixel; then, once a key is pressed, another.
    screen.write_all(&[3, 0, 0, 5, 0, 7, 0, 1, 0, 1]).unwrap();
    assert_eq!(take(&mut screen), [0, 0, 0, 1, 0, 5, 0, 7, 0, 1, 0, 1, 0, 0, 0, 0, 0, 7, 5, 0]);
    screen.write_all(&[3, 1, 0, 5, 0, 7, 0, 1, 0, 1, 4, 1, 0, 0, 0, 0, 0, 97]).unwrap();
    assert_eq!(take::<20>(&mut screen)[16..], [1, 7, 5, 0]);
    host.xe(&["vm-shutdown", "name-label=one-1", "force=true"]);
    assert_eq!(screen.read(&mut [0]).unwrap(), 0, "it ends with the VM");
}

#[cfg(feature = "tls")]
mod over_tls {
    use super::{Host, Serving, take, uuid};
    use one_xcp::xapi::{Refused, Server, Trust, Xapi};
    use std::fs;
    use std::io::{Read, Write};

    const TARGET: &str = "/rrd_updates?start=-10&host=true";

    /// A pool whose only host is called `localhost`, and its password's file.
    fn front_end() -> Host {
        let host = Host::with_pool(&["--standalone", "--password", "geheim", "--vms", "1"]);
        fs::write(host.path("password"), "root\ngeheim\n").unwrap();
        let uuid = format!("uuid={}", host.xe(&["host-list", "--minimal"]));
        host.xe(&["host-param-set", &uuid, "name-label=localhost"]);
        host
    }

    fn xapi(host: &Host, serving: &Serving, trust: Trust) -> Xapi {
        let password_file = Some(host.path("password"));
        Xapi::Server(Server { name: "localhost".to_owned(), port: serving.port, password_file, trust })
    }

    fn text(xapi: &Xapi) -> Result<String, anyhow::Error> {
        let mut text = String::new();
        xapi.get(TARGET, 1 << 20)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_certificate_is_taken_by_its_fingerprint_or_its_authority_and_no_other_way() {
        let host = front_end();
        let serving = host.serve_tls("localhost");
        let pinned = Trust::read(&serving.fingerprint, None).unwrap();
        assert!(text(&xapi(&host, &serving, pinned)).unwrap().ends_with("</xport>"));
        let file = host.path("cert.pem");
        let signed = Trust::read("", file.to_str()).unwrap();
        assert!(text(&xapi(&host, &serving, signed)).unwrap().ends_with("</xport>"));

        let other = Trust::read(&"ab".repeat(32), None).unwrap();
        let error = format!("{:#}", text(&xapi(&host, &serving, other)).unwrap_err());
        assert!(error.contains(&serving.fingerprint) && error.contains("XAPI_FINGERPRINT"), "{error}");
        let error = format!("{:#}", text(&xapi(&host, &serving, Trust::default())).unwrap_err());
        assert!(error.contains("set XAPI_FINGERPRINT or XAPI_CA_FILE"), "{error}");
        let strange = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(host.path("other.pem"), strange.cert.pem()).unwrap();
        let signed = Trust::read("", host.path("other.pem").to_str()).unwrap();
        let error = format!("{:#}", text(&xapi(&host, &serving, signed)).unwrap_err());
        assert!(error.contains("invalid peer certificate"), "{error}");
    }

    #[test]
    fn a_certificate_signed_for_another_name_is_refused() {
        let host = front_end();
        let serving = host.serve_tls("localhost");
        let trust = Trust::read("", host.path("cert.pem").to_str()).unwrap();
        let password_file = Some(host.path("password"));
        let name = "127.0.0.1".to_owned();
        let other = Xapi::Server(Server { name, port: serving.port, password_file, trust });
        let error = format!("{:#}", text(&other).unwrap_err());
        assert!(error.contains("not valid for"), "{error}");
    }

    #[test]
    fn a_wrong_password_is_refused_and_not_shown() {
        let host = front_end();
        let serving = host.serve_tls("localhost");
        fs::write(host.path("password"), "root\nfalsch\n").unwrap();
        let trust = Trust::read(&serving.fingerprint, None).unwrap();
        let error = text(&xapi(&host, &serving, trust)).unwrap_err();
        assert_eq!(error.downcast_ref::<Refused>().map(|refused| refused.code), Some(401));
        let shown = format!("{error:#}");
        assert!(shown.contains("XE_PASSWORD_FILE") && !shown.contains("falsch"), "{shown}");
    }

    #[test]
    fn a_console_comes_over_tls() {
        let host = front_end();
        let serving = host.serve_tls("localhost");
        let trust = Trust::read(&serving.fingerprint, None).unwrap();
        let mut screen = xapi(&host, &serving, trust).console(&uuid(&host, "one-1")).unwrap();
        assert_eq!(&take(&mut screen), b"RFB 003.008\n");
        screen.write_all(b"RFB 003.008\n").unwrap();
        screen.flush().unwrap();
        assert_eq!(take(&mut screen), [1, 1]);
    }

    #[test]
    fn a_probe_on_the_front_end_measures_over_tls_or_says_why_not() {
        let host = front_end();
        let serving = host.serve_tls("localhost");
        let (port, password) = (serving.port.to_string(), host.path("password"));
        let ask = |pin: &str| {
            let mut command = host.command(super::common::PROGRAM);
            command.env("XE_SERVER", "HOST").env("XE_PASSWORD_FILE", &password).env("XAPI_PORT", &port);
            command.env("XAPI_FINGERPRINT", pin);
            super::common::said(command.args(["probe", "host/monitor", "xcp", "0", "localhost"]), b"")
        };
        let said = ask(&serving.fingerprint);
        assert!(said.stderr.is_empty(), "{said:?}");
        assert!(said.ok().contains("NETTX="));
        // A strange certificate: xe is not called, and sends nobody the password.
        host.forget_calls();
        let strange = "AB:".repeat(32);
        let line = ask(strange.trim_end_matches(':')).failure();
        assert!(
            line.contains("localhost gets no password from xe: its certificate is not trusted"),
            "{line}"
        );
        assert!(host.calls().is_empty(), "{:?}", host.calls());
        let said = ask("");
        assert!(said.stderr.starts_with("WARN: no figures of networks and disks, and each VM's CPU is asked by itself, 32 in a round: "), "{said:?}");
        assert!(!said.stderr.contains("geheim") && !said.ok().contains("NETTX="));
    }
}
