//! A host with the drivers' links, and a program `xe` that prints the records it is given.

use super::common::{PROGRAM, Recorded, Said, said};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const HOST: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SR: &str = "cccccccc-0000-4000-8000-000000000001";
pub const OTHER_HOST: &str = "aaaaaaaa-0000-4000-8000-000000000002";

/// Notes the call, and prints what stands for it: VERB, or VERB.FIELD for a list with `minimal=true`.
const XE: &str = r#"#!/bin/sh
echo "$*" >> "$XE_RECORDS/calls"
[ ! -e "$XE_RECORDS/fails" ] || { cat "$XE_RECORDS/fails" >&2; exit 1; }
file=$1
for word; do
    case $word in
    params=*) field=${word#params=} ;;
    minimal=true) file=$1.$field ;;
    esac
done
cat "$XE_RECORDS/$file"
"#;

pub struct Site {
    pub dir: tempfile::TempDir,
    pub port: u16,
    /// Seconds between two SYSTEM_HOST.
    pub system_host: &'static str,
    /// What monitord.conf has otherwise than the recorded one: PUBKEY, MONITOR_ADDRESS.
    pub network: Vec<(&'static str, String)>,
}

/// A VM as the pool has it.
pub struct Vm<'a> {
    pub id: u32,
    pub power_state: &'a str,
    pub resident_on: &'a str,
    pub operations: &'a str,
}

/// A VM that runs on the host.
pub fn running(id: u32) -> Vm<'static> {
    Vm { id, power_state: "running", resident_on: HOST, operations: "" }
}

pub fn halted(id: u32) -> Vm<'static> {
    Vm { id, power_state: "halted", resident_on: "<not in database>", operations: "" }
}

pub fn uuid(id: u32) -> String {
    format!("bbbbbbbb-0000-4000-8000-{id:012}")
}

/// What its guest says is its address.
pub fn address(id: u32) -> String {
    format!("10.0.{}.{}", id / 200, id % 200 + 1)
}

pub fn state(id: u32, word: &str) -> String {
    format!("VM = [ ID=\"{id}\", DEPLOY_ID=\"{}\", STATE=\"{word}\" ]\n", uuid(id))
}

impl Site {
    pub fn new(port: u16) -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap(), port, system_host: "600", network: Vec::new() };
        for folder in
            ["bin", "records", "tmp", "state", "datastores", "remotes/im/xcp.d", "remotes/im/xcp-probes.d"]
        {
            fs::create_dir_all(site.path(folder)).unwrap();
        }
        symlink(PROGRAM, site.control()).unwrap();
        site.executable("bin/xe", XE);
        site.write("records/host-data-source-query", "0.25\n");
        // Of a VM nothing is asked by itself but its VCPUs-utilisation.
        site.write("records/vm-param-get", "0: 0.250; 1: 0.125\n");
        site.write(
            "records/host-list",
            &format!(
                "uuid ( RO)              : {HOST}\n    name-label ( RW): xcp-a\n    hostname ( RO): xcp-a\n    \
                 address ( RO): 192.0.2.1\n    memory-total ( RO): 17179869184\n    memory-free ( RO): 8589934592\n    \
                 software-version (MRO): product_version: 8.3.0\n    \
                 cpu_info (MRO): cpu_count: 8; modelname: A \"CPU\"; speed: 2400.0\n\n\n"
            ),
        );
        site.write("records/pool-list.name-label", "pool \"one\"\n");
        site.write(
            "records/pbd-list",
            &format!("host-uuid ( RO)    : {HOST}\n    sr-uuid ( RO): {SR}\n\n\n"),
        );
        site.write(
            "records/sr-list",
            &format!(
                "uuid ( RO)    : {SR}\n    name-label ( RW): Local storage\n    physical-utilisation ( RO): 1073741824\n    \
                 physical-size ( RO): 3221225472\n    type ( RO): ext\n    shared ( RW): false\n\n\n"
            ),
        );
        site.vms(&[]);
        site
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn control(&self) -> PathBuf {
        self.path("remotes/im/xcp.d/monitord-client_control.sh")
    }

    /// Replaces a file as a whole: others read it.
    pub fn write(&self, below: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(below)).unwrap();
    }

    pub fn executable(&self, below: &str, text: &str) {
        fs::create_dir_all(self.path(below).parent().unwrap()).unwrap();
        fs::write(self.path(below), text).unwrap();
        fs::set_permissions(self.path(below), PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub fn vms(&self, vms: &[Vm<'_>]) {
        self.write("records/vm-list", &vms.iter().fold(String::new(), |text, vm| text + &record(vm, "")));
        self.lists(vms);
    }

    /// What lists tell of them with `minimal=true`, and their disks.
    fn lists(&self, vms: &[Vm<'_>]) {
        let each = |value: &dyn Fn(u32) -> String| vms.iter().map(|vm| value(vm.id)).collect::<Vec<_>>();
        self.write("records/vm-list.uuid", &(each(&uuid).join(",") + "\n"));
        let networks = |id: u32| format!("0/ip: {}", address(id));
        self.write("records/vm-list.networks", &(each(&networks).join(",") + "\n"));
        let names = |id: u32| format!("one-{id}");
        self.write("records/vm-list.name-label", &(each(&names).join(",") + "\n"));
        let vdi = |id: u32| uuid(id).replace('b', "d");
        let vbds = |id: u32| {
            format!(
                "vm-uuid ( RO)    : {}\n    vdi-uuid ( RO): {}\n    other-config (MRW): one_vm_id: {id}; one_disk_id: 0\n\n\n",
                uuid(id),
                vdi(id)
            )
        };
        self.write("records/vbd-list", &each(&vbds).concat());
        let vdis =
            |id: u32| format!("uuid ( RO)    : {}\n    physical-utilisation ( RO): 1048577\n\n\n", vdi(id));
        self.write("records/vdi-list", &each(&vdis).concat());
    }

    /// With something more in `other-config`, after our marks.
    pub fn vm_with(&self, vm: &Vm<'_>, other_config: &str) {
        self.write("records/vm-list", &record(vm, other_config));
        self.lists(&[Vm { ..*vm }]);
    }

    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("records/calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command
            .env("TMPDIR", self.path("tmp"))
            .env("STATE_DIR", self.path("state"))
            .env("XE_RECORDS", self.path("records"));
        // A switch of this machine's is none of the tests' business.
        command.env("OVS_RUNDIR", self.dir.path());
        command.env("DATASTORE_LOCATION", self.path("datastores")).env("SSH_CLIENT", "127.0.0.1 50022 22");
        command.env("XAPI_SOCKET", self.path("xapi")).env("XENSOURCE_INVENTORY", self.path("inventory"));
        command.env("QEMU_IMG_LINK", self.path("local/qemu-img"));
        command.current_dir(self.dir.path());
        command
    }

    /// What onemonitord sends, with short periods and this test's port.
    pub fn configuration(&self) -> Vec<u8> {
        let mut recorded = Recorded::load("run_monitord_client").with("[4124]", &format!("[{}]", self.port));
        for (kind, recorded_period, period) in [
            ("STATE_VM", "5", "1"),
            ("EXEC_VM", "5", "1"),
            ("BEACON_HOST", "10", "1"),
            ("MONITOR_HOST", "10", "1"),
            ("MONITOR_VM", "10", "1"),
            ("SYSTEM_HOST", "30", self.system_host),
        ] {
            recorded = recorded.with(
                &format!("<{kind}><![CDATA[{recorded_period}]]>"),
                &format!("<{kind}><![CDATA[{period}]]>"),
            );
        }
        for (name, value) in &self.network {
            let given = if *name == "PUBKEY" { "" } else { "127.0.0.1" };
            let element = |value: &str| format!("<{name}><![CDATA[{value}]]></{name}>");
            recorded = recorded.with(&element(given), &element(value));
        }
        recorded.stdin
    }

    /// Starts the client as run_monitord_client does; gives back the first round.
    pub fn start(&self) -> Said {
        said(self.command(self.control()).args(["xcp", "0", "xcp-a"]), &self.configuration())
    }

    pub fn stop(&self, args: &[&str]) -> Said {
        said(self.command(self.control()).arg("stop").args(args), b"")
    }

    /// The client that runs.
    pub fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.path("state/monitor-0.pid")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("state/monitor-0.log")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.control().exists() {
            _ = self.stop(&["xcp", "0"]);
        }
    }
}

/// A process that has ended and was not waited for yet has no command line.
pub fn is_alive(pid: u32) -> bool {
    fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).is_ok_and(|line| !line.is_empty())
}

/// One kind's text in the first round.
pub fn part(document: &str, kind: &str) -> String {
    let (_, rest) =
        document.split_once(&format!("<{kind}>")).unwrap_or_else(|| panic!("no {kind}: {document}"));
    let (packed, _) = rest.split_once('<').unwrap();
    String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap()
}

fn record(vm: &Vm<'_>, other_config: &str) -> String {
    let uuid = uuid(vm.id);
    let mut text = format!("uuid ( RO)                  : {uuid}\n");
    for (field, value) in [
        ("power-state ( RO)", vm.power_state),
        ("current-operations (SRO)", vm.operations),
        ("memory-actual ( RO)", "536870912"),
        ("resident-on ( RO)", vm.resident_on),
    ] {
        _ = writeln!(text, "    {field}: {value}");
    }
    _ = writeln!(text, "    other-config (MRW): one_vm_id: {}; one_vm_uuid: {uuid}{other_config}\n\n", vm.id);
    text
}
