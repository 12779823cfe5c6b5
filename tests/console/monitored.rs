//! The monitoring client keeps consoles as they should be.

use super::common::serve::{eventually, free_port};
use super::common::{Host, PROGRAM, Recorded, Said, said};
use super::{PASSWORD, Site, Viewer, kill, pid_in};
use rustix::process::Signal;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::thread;

/// A relay started as actions start it; gives back its port.
pub fn relay_by_hand(site: &Site, vm: &str) -> u16 {
    let port = free_port();
    let text = format!("1\n{vm}\nxcp-a\n127.0.0.1:{port}\n\n");
    let mut command = site.host.command("bash");
    command.args(["-c", r#""$0" console_relay 1 <&0 & "#, PROGRAM]);
    assert_eq!(said(&mut command, text.as_bytes()).ok(), "listens");
    port
}

/// One host's monitoring client, as OpenNebula starts it.
struct Client<'h> {
    host: &'h Host,
    name: &'static str,
    /// A machine of its own.
    folder: PathBuf,
}

impl Client<'_> {
    fn start<'h>(site: &'h Site, name: &'static str) -> Client<'h> {
        let folder = site.host.path(&format!("machine-{name}"));
        let control = site.host.path("remotes/im/xcp.d/monitord-client_control.sh");
        fs::create_dir_all(control.parent().unwrap()).unwrap();
        fs::create_dir_all(&folder).unwrap();
        _ = symlink(PROGRAM, &control);
        let monitord = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = monitord.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in monitord.incoming().flatten() {
                _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let configuration = Recorded::load("run_monitord_client")
            .with("[4124]", &format!("[{port}]"))
            .with("<STATE_VM><![CDATA[5]]>", "<STATE_VM><![CDATA[1]]>");
        let client = Client { host: &site.host, name, folder };
        client.control(&["xcp", "0", name], &configuration.stdin).ok();
        client
    }

    fn control(&self, args: &[&str], stdin: &[u8]) -> Said {
        let mut command = self.host.command(self.host.path("remotes/im/xcp.d/monitord-client_control.sh"));
        command.env("STATE_DIR", &self.folder).args(args);
        command.env("XAPI_SOCKET", self.host.path(&format!("xapi-{}", self.name)));
        said(&mut command, stdin)
    }

    fn relay_file(&self, vm: &str) -> PathBuf {
        self.folder.join(format!("console-{vm}.pid"))
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        _ = self.control(&["stop", "xcp", "0"], b"");
        for entry in fs::read_dir(&self.folder).unwrap().flatten() {
            if entry.file_name().to_str().unwrap().starts_with("console-") {
                kill(pid_in(&entry.path()), Signal::TERM);
            }
        }
    }
}

fn comes_in(port: u16) -> bool {
    Viewer::may_come_in(port, "geheim")
}

#[test]
fn a_relay_that_died_is_started_again() {
    let site = Site::new();
    let uuid = site.deploy(PASSWORD).ok();
    let first = site.relay(&uuid);
    kill(first, Signal::KILL);
    eventually("it is dead", || !site.listens());
    let client = Client::start(&site, "xcp-a");
    eventually("it listens again", || comes_in(site.port));
    assert_ne!(pid_in(&client.relay_file(&uuid)), first);
    kill(pid_in(&client.relay_file(&uuid)), Signal::KILL);
    eventually("once more", || comes_in(site.port));
    site.host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    eventually("the guest is off", || !site.listens());
    eventually("nothing is left", || !client.relay_file(&uuid).exists());
}

#[test]
fn a_vm_that_migrated_is_seen_on_its_new_host_with_its_password() {
    let site = Site::new();
    let uuid = site.deploy(PASSWORD).ok();
    let _xapi = site.host.serve("xcp-b");
    let _client = Client::start(&site, "xcp-b");
    site.host.on_vm("migrate", "migrate", &uuid).ok();
    assert!(!site.relay_file(&uuid).exists(), "not on the old host");
    eventually("it listens on the new host", || comes_in(site.port));
}
