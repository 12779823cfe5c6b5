//! A host as OpenNebula sees it: the drivers' links, datastores with a VM's files, and a simulated pool that
//! the real binary reaches through a program called `xe`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, dead_code)]

pub mod data_disk;
pub mod kept;
pub mod recorded_action;
pub mod serve;
pub mod steps;

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_one-xcp");

/// What a program said.
#[derive(Clone)]
#[must_use = "look at what it said"]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Debug for Said {
    /// Line by line, as it was printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "exit {code}")?,
            None => write!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            text.lines().try_for_each(|line| write!(f, "\n    {name}: {line}"))?;
        }
        Ok(())
    }
}

impl Said {
    pub fn of(output: &Output) -> Said {
        Said {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It succeeded; gives back its answer.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "it should have succeeded: {self:#?}");
        self.stdout.trim_end().to_owned()
    }

    /// It failed as OpenNebula wants it: exit 1, nothing on standard output, one line that is no log line
    /// and ends in a full stop and a line break. Gives back that line.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_eq!(self.code, Some(1), "it should have failed with 1: {self:#?}");
        assert_eq!(self.stdout, "", "a failure has no answer: {self:#?}");
        assert!(self.stderr.ends_with(".\n"), "no full stop or line break at the end: {self:#?}");
        let is_log = |line: &&str| {
            ["ERROR: ", "INFO: ", "WARN: ", "DEBUG: "].iter().any(|word| line.starts_with(word))
        };
        let words: Vec<&str> = self.stderr.lines().filter(|line| !is_log(line)).collect();
        assert_eq!(words.len(), 1, "not one line: {self:#?}");
        words[0].to_owned()
    }

    /// The lines for the VM's log.
    pub fn log(&self) -> Vec<&str> {
        self.stderr.lines().collect()
    }
}

/// How every ssh of the tests begins: options, a login, which a command over a connection that is there does not need,
/// and the connection itself (`ControlMaster=yes`). Hosts in `ssh.down` do not answer. Logins go to `ssh.logins`,
/// commands to `ssh.log`.
pub const SSH_HEAD: &str = r#"#!/bin/bash
while [ "$1" = -o ]; do
    case $2 in ControlMaster=yes) master=yes ;; ControlPath=*) socket=${2#*=} ;; esac
    shift 2
done
host=$1; shift
if [ -z "$socket" ] || [ ! -e "$socket" ]; then
    echo "$host" >>"$TMPDIR/ssh.logins"
    if grep -qx "$host" "$TMPDIR/ssh.down" 2>/dev/null; then
        echo "ssh: connect to host $host port 22: No route to host" >&2
        exit 255
    fi
fi
if [ "$master" ]; then : >"$socket"; cat >/dev/null; rm -f "$socket"; exit; fi
"#;

/// As ssh, without a network: `xcp-a` has the test's own datastores, and each other host those in `hosts/NAME`. The
/// call whose number is in `ssh.fault` goes wrong as it says there.
const SSH: &str = r#"
echo "$host $*" >>"$TMPDIR/ssh.log"
case $host in xcp-a) own=$TMPDIR ;; *) own=$TMPDIR/hosts/$host; mkdir -p "$own" ;; esac
line=$(printf %s "$*" | sed -E "s|$TMPDIR/(hosts/[^/]*/)?datastores|$own/datastores|g")
[ -e "$TMPDIR/ssh.fault" ] || exec sh -c "$line"
read -r nth way <"$TMPDIR/ssh.fault"
[ "$(wc -l <"$TMPDIR/ssh.log")" -eq "$nth" ] || exec sh -c "$line"
[ "$way" = killed ] && kill -KILL $PPID && exit 255
[ "$way" = refused ] || sh -c "$line" >/dev/null
echo "ssh: connect to host $host port 22: Connection timed out" >&2
exit 255
"#;

/// One call of the simulated `xe`, as its log has it.
#[derive(Debug, Clone)]
pub struct XeCall {
    pub start_ms: f64,
    pub end_ms: f64,
    pub line: String,
}

/// The program's links, the same for every host.
static LINKS: OnceLock<String> = OnceLock::new();

pub struct Host {
    pub dir: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Host {
    /// A pool of two hosts, and VM 1's files of the recorded deployment: a disk, a swap disk, a context disc.
    pub fn new() -> Host {
        Host::with_pool(&[])
    }

    pub fn with_pool(options: &[&str]) -> Host {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { dir, settings: Vec::new() };
        fs::create_dir_all(host.path("bin")).unwrap();
        fs::create_dir_all(host.path("remotes/vmm/xcp")).unwrap();
        symlink(PROGRAM, host.path("bin/xe")).unwrap();
        fs::write(host.path("bin/ssh"), format!("{SSH_HEAD}{SSH}")).unwrap();
        fs::set_permissions(host.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        for link in LINKS.get_or_init(|| said(Command::new(PROGRAM).arg("links"), b"").ok()).lines() {
            let link = host.path("remotes").join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(PROGRAM, link).unwrap();
        }
        host.sim(&[&["init"], options].concat());
        host.make_files(0, 1);
        host
    }

    /// With a setting, as in the environment.
    pub fn set(mut self, name: &str, value: &str) -> Host {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// `datastores/DS_ID/VM_ID`
    pub fn vm_folder(&self, ds_id: u32, vm_id: u32) -> PathBuf {
        self.path(&format!("datastores/{ds_id}/{vm_id}"))
    }

    fn make_files(&self, ds_id: u32, vm_id: u32) {
        let folder = self.vm_folder(ds_id, vm_id);
        fs::create_dir_all(&folder).unwrap();
        sparse_file(
            &folder.join("disk.0"),
            5 << 20,
            &[(0, b"boot"), (3 << 20, b"data in the middle"), ((5 << 20) - 4, b"last")],
        );
        sparse_file(&folder.join("disk.1"), 128 << 20, &[(4086, b"SWAPSPACE2")]);
        sparse_file(&folder.join("disk.2"), 368 << 10, &[(32_769, b"CD001"), (32_808, b"CONTEXT")]);
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env_clear().env("PATH", path).env("XE_SIM", self.path("pool"));
        // Where locks are: each test's VM 1 is another.
        command.env("TMPDIR", self.dir.path()).env("STATE_DIR", self.path("state"));
        // A switch of this machine's is none of the tests' business.
        command.env("OVS_RUNDIR", self.dir.path());
        // Every test's VM would want the same port.
        command.env("CONSOLE", "no");
        command.env("DATASTORE_LOCATION", self.path("datastores")).envs(self.settings.iter().cloned());
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs an action through its link.
    pub fn run(&self, action: &str, args: &[&str], stdin: &[u8]) -> Said {
        said(self.command(self.path(&format!("remotes/vmm/xcp/{action}"))).args(args), stdin)
    }

    /// The command that runs an action through its link, and its standard input.
    pub fn action(&self, action: &str, args: &[&str], stdin: &[u8]) -> (Command, Vec<u8>) {
        let mut command = self.command(self.path(&format!("remotes/vmm/xcp/{action}")));
        command.args(args);
        (command, stdin.to_vec())
    }

    /// Runs the program by its own name.
    pub fn one_xcp(&self, args: &[&str]) -> Said {
        said(self.command(PROGRAM).args(args), b"")
    }

    pub fn sim(&self, args: &[&str]) -> String {
        self.one_xcp(&[&["sim"], args].concat()).ok()
    }

    /// Asks the pool.
    pub fn xe(&self, args: &[&str]) -> String {
        said(self.command(self.path("bin/xe")).args(args), b"").ok()
    }

    /// The pool's whole state, for comparing.
    pub fn dump(&self) -> String {
        self.sim(&["dump"])
    }

    /// The pool is as it was; else the lines that differ are shown, and not the whole of it.
    #[track_caller]
    pub fn is_as(&self, before: &str) {
        self.is_as_after(before, "all");
    }

    /// The same, telling after what.
    #[track_caller]
    pub fn is_as_after(&self, before: &str, what: impl fmt::Display) {
        assert_same(&self.dump(), before, format_args!("the pool is not as it was after {what}"));
    }

    /// Forgets the calls made so far.
    pub fn forget_calls(&self) {
        self.sim(&["log", "--clear"]);
    }

    /// The calls of `xe` since then.
    pub fn calls(&self) -> Vec<XeCall> {
        self.sim(&["log"]).lines().map(xe_call).collect()
    }

    /// Deploys the VM of the recorded deployment file, byte for byte.
    pub fn deploy(&self) -> Said {
        self.deploy_recorded("deploy")
    }

    pub fn deploy_recorded(&self, name: &str) -> Said {
        let recorded = Recorded::load(name);
        self.deploy_document(&recorded.argv[1], &recorded.stdin)
    }

    pub fn deploy_document(&self, host: &str, document: &[u8]) -> Said {
        let file = self.vm_folder(0, 1).join("deployment.0");
        self.run("deploy", &[file.to_str().unwrap(), host, "1", host], document)
    }

    /// Runs a recorded action on the VM that `deploy` answered.
    pub fn on_vm(&self, action: &str, recorded: &str, uuid: &str) -> Said {
        let recorded = Recorded::load(recorded);
        let argv: Vec<&str> =
            std::iter::once(uuid).chain(recorded.argv.iter().skip(1).map(String::as_str)).collect();
        self.run(action, &argv, &recorded.stdin)
    }

    /// One field of a VM.
    pub fn vm_param(&self, uuid: &str, field: &str) -> String {
        self.xe(&["vm-param-get", &format!("uuid={uuid}"), &format!("param-name={field}")])
    }

    /// Lets a VM be OpenNebula's VM of this number, for messages that were recorded of another than VM 1.
    pub fn mark_as(&self, uuid: &str, vm_id: u32) {
        let named = format!("uuid={uuid}");
        self.xe(&["vm-param-set", &named, &format!("other-config:one_vm_id={vm_id}")]);
        self.xe(&["vm-param-remove", &named, "param-name=other-config", "param-key=one_os_uuid"]);
    }

    /// The name of the host a VM runs on.
    pub fn host_of(&self, vm: &str) -> String {
        let resident_on = self.vm_param(vm, "resident-on");
        self.xe(&["host-list", &format!("uuid={resident_on}"), "params=name-label", "--minimal"])
    }

    /// Where the simulated pool keeps a VDI's bytes.
    fn vdi_file(&self, uuid: &str) -> PathBuf {
        self.path("pool.vdi").join(uuid)
    }

    /// The bytes of a VDI, as the VM's guest sees them.
    pub fn vdi_bytes(&self, uuid: &str) -> Vec<u8> {
        fs::read(self.vdi_file(uuid)).unwrap()
    }

    /// Whether a VDI holds these bytes there.
    pub fn vdi_holds(&self, uuid: &str, at: u64, bytes: &[u8]) -> bool {
        holds(&self.vdi_file(uuid), at, bytes)
    }

    /// How a VDI's bytes begin.
    pub fn vdi_start(&self, uuid: &str) -> String {
        let mut start = [0; 8];
        let file = fs::File::open(self.vdi_file(uuid));
        _ = file.map(|file| file.read_at(&mut start, 0));
        String::from_utf8_lossy(&start).trim_end_matches('\0').to_owned()
    }

    /// Writes into a VDI, as its guest would.
    pub fn write_vdi(&self, uuid: &str, at: u64, bytes: &[u8]) {
        let file = fs::File::options().write(true).open(self.vdi_file(uuid)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    /// The VDI in a VM's slot.
    pub fn vdi_in(&self, vm: &str, device: &str) -> String {
        let filters = [format!("vm-uuid={vm}"), format!("userdevice={device}")];
        self.xe(&["vbd-list", &filters[0], &filters[1], "params=vdi-uuid", "--minimal"])
    }
}

/// Both texts are the same; else the lines that only one of them has are shown, each object's under its name.
#[track_caller]
pub fn assert_same(after: &str, before: &str, what: impl fmt::Display) {
    if after != before {
        let more = lines_not_in(after, before);
        let less = lines_not_in(before, after);
        panic!("{what}\nmore:\n{more}\nless:\n{less}");
    }
}

/// The lines of a text that another has not, below the line that is not indented and that they belong to.
fn lines_not_in(text: &str, other: &str) -> String {
    let known: HashSet<(&str, &str)> = under_headings(other).collect();
    let (mut shown, mut last) = (Vec::new(), "");
    for (heading, line) in under_headings(text).filter(|line| !known.contains(line)) {
        if heading != last && heading != line {
            shown.push(heading);
        }
        shown.push(line);
        last = heading;
    }
    shown.join("\n")
}

/// Each line with the last line before it that is not indented.
fn under_headings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().scan("", |heading, line| {
        if !line.starts_with(' ') {
            *heading = line;
        }
        Some((*heading, line))
    })
}

/// What a real oned passed to a script.
pub struct Recorded {
    pub argv: Vec<String>,
    pub stdin: Vec<u8>,
}

impl Recorded {
    pub fn load(name: &str) -> Recorded {
        Recorded::load_from("opennebula-7.4", name)
    }

    pub fn load_from(release: &str, name: &str) -> Recorded {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(release).join(name);
        let argv = fs::read_to_string(folder.join("argv")).unwrap();
        Recorded {
            argv: argv.lines().map(str::to_owned).collect(),
            stdin: fs::read(folder.join("stdin")).unwrap(),
        }
    }

    /// With one piece of the document replaced by another; it must be there.
    pub fn with(mut self, old: &str, new: &str) -> Recorded {
        let text = String::from_utf8(self.stdin).unwrap();
        assert!(text.contains(old), "the recorded document does not hold {old:?}");
        self.stdin = text.replace(old, new).into_bytes();
        self
    }
}

pub fn said(command: &mut Command, stdin: &[u8]) -> Said {
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    feed(&mut child, stdin);
    Said::of(&child.wait_with_output().unwrap())
}

/// Starts it. A program that a test has just written may still be open for writing in a child that another
/// thread is about to start.
fn spawn(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            child => return child.unwrap(),
        }
    }
}

/// Gives a program its standard input. Who refuses early does not read to the end.
pub fn feed(child: &mut Child, stdin: &[u8]) {
    _ = child.stdin.take().unwrap().write_all(stdin);
}

/// Whether a file holds these bytes there. A disk's file is not read as a whole for it: holes take time too.
pub fn holds(path: &Path, at: u64, bytes: &[u8]) -> bool {
    let mut found = vec![0; bytes.len()];
    match fs::File::open(path).unwrap().read_exact_at(&mut found, at) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
        read => {
            read.unwrap();
            found == bytes
        }
    }
}

pub fn sparse_file(path: &Path, size: u64, pieces: &[(u64, &[u8])]) {
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    for (at, bytes) in pieces {
        file.write_all_at(bytes, *at).unwrap();
    }
}

/// `start_ms duration_ms exit verb args…`
fn xe_call(line: &str) -> XeCall {
    let mut words = line.splitn(4, ' ');
    let start_ms: f64 = words.next().unwrap().parse().unwrap();
    let duration_ms: f64 = words.next().unwrap().parse().unwrap();
    let _exit = words.next().unwrap();
    XeCall { start_ms, end_ms: start_ms + duration_ms, line: words.next().unwrap().to_owned() }
}

/// The longest chain of calls of which each began after the one before had ended.
pub fn one_after_the_other(calls: &[XeCall]) -> usize {
    let mut by_end = calls.to_vec();
    by_end.sort_by(|a, b| a.end_ms.total_cmp(&b.end_ms));
    let (mut count, mut last_end) = (0, f64::MIN);
    for call in &by_end {
        if call.start_ms >= last_end {
            count += 1;
            last_end = call.end_ms;
        }
    }
    count
}
