//! Open vSwitch in user space, with network namespaces as guests: none of it touches this machine's own network.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub struct Switch {
    dir: TempDir,
    daemons: Vec<Child>,
    /// The socket that ovs-vswitchd takes orders on.
    control: String,
    /// The network of the switch itself, where the guests' cables end.
    home: String,
    guests: RefCell<Vec<Guest>>,
}

/// A network namespace, and the program in it.
struct Guest {
    name: String,
    netns: String,
    program: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a guest tries to reach.
#[derive(Clone, Copy, Debug)]
pub enum Probe {
    /// A connection: `tcp`, `udp`, `tcp6` or `udp6`, and the port.
    Port(&'static str, u16),
    /// Of this family.
    Ping(u8),
}

/// Which of this program's switches it is.
static COUNT: AtomicU32 = AtomicU32::new(0);

const DAEMON: &str = "/usr/sbin/ovs-vswitchd";

impl Switch {
    /// None, with the reason on standard error, where it cannot be.
    pub fn start() -> Option<Switch> {
        let skip = |why: &str| {
            _ = writeln!(std::io::stderr(), "SKIPPED, no packets are sent: {why}");
            None::<Switch>
        };
        if !fs::exists(DAEMON).unwrap() {
            return skip("openvswitch-switch is not installed");
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = format!("onexcp{}s{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &home]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            return skip("network namespaces are not allowed here");
        }
        let mut switch = Switch {
            dir: tempfile::tempdir().unwrap(),
            daemons: Vec::new(),
            control: String::new(),
            home,
            guests: RefCell::default(),
        };
        let dir = switch.dir().to_owned();
        let path = |name: &str| format!("{dir}/{name}");
        let created = Command::new("ovsdb-tool")
            .args(["create", &path("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema"])
            .output();
        assert!(created.unwrap().status.success());
        let remote = format!("--remote=punix:{}", path("db.sock"));
        switch.daemon("/usr/sbin/ovsdb-server", &[&path("conf.db"), &remote]);
        Switch::wait("the database", || fs::exists(path("db.sock")).unwrap());
        switch.vsctl(&["--no-wait", "init"]);
        switch.control = path("control");
        let control = format!("--unixctl={}", switch.control);
        switch.daemon(DAEMON, &[&format!("unix:{}", path("db.sock")), "--disable-system", &control]);
        switch.vsctl(&["add-br", "xenbr0", "--", "set", "bridge", "xenbr0", "datapath_type=netdev"]);
        Some(switch)
    }

    /// Its OVS_RUNDIR.
    pub fn dir(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.home, program]).args(arguments);
        command.args(["-vconsole:off", "-vsyslog:off", "--log-file=/dev/null"]);
        command.env("OVS_RUNDIR", self.dir()).env("OVS_DBDIR", self.dir()).stdin(Stdio::null());
        self.daemons.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    #[track_caller]
    pub fn wait(what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < end, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("OVS_RUNDIR", self.dir()).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub fn vsctl(&self, arguments: &[&str]) -> String {
        self.run("ovs-vsctl", &[&["--timeout=60"], arguments].concat())
    }

    #[track_caller]
    pub fn ofctl(&self, arguments: &[&str]) -> String {
        self.run("ovs-ofctl", arguments)
    }

    /// Open vSwitch takes up new flows a moment after they are set, as it goes through what it has decided by the old ones:
    /// at once if it has to decide everything anew.
    #[track_caller]
    pub fn forget_decisions(&self) {
        self.run("ovs-appctl", &["-t", &self.control, "revalidator/purge"]);
    }

    /// Takes the port out and plugs it in again, as XAPI does for a guest that reboots.
    #[track_caller]
    pub fn plug_anew(&self, port: &str) {
        let ids = self.vsctl(&["get", "interface", port, "external_ids"]);
        let ids = format!("external_ids={}", ids.trim());
        self.vsctl(&["del-port", port]);
        self.vsctl(&["add-port", "xenbr0", port, "--", "set", "interface", port, &ids]);
    }

    /// The cookies of our flows.
    pub fn cookies(&self) -> HashSet<String> {
        let ours = self.ofctl(&["dump-flows", "xenbr0", "cookie=0x4f4e000000000000/0xffff000000000000"]);
        ours.split("cookie=").skip(1).filter_map(|flow| flow.split(',').next()).map(str::to_owned).collect()
    }

    /// How many flows of ours there are.
    pub fn flows(&self) -> usize {
        let ours = self.ofctl(&["dump-flows", "xenbr0", "cookie=0x4f4e000000000000/0xffff000000000000"]);
        ours.matches("cookie=0x4f4e").count()
    }

    fn netns(&self, guest: &str) -> String {
        format!("{}{guest}", self.home)
    }

    /// A guest with a cable to the switch, and the addresses `10.9.0.NUMBER` and `fd00:9::NUMBER`.
    pub fn guest(&self, name: &str, port: &str, number: u8, ids: &[(&str, &str)]) {
        let netns = self.netns(name);
        let mac = format!("02:00:0a:09:00:{number:02x}");
        self.run("ip", &["netns", "add", &netns]);
        let ends =
            ["-n", &self.home, "link", "add", port, "type", "veth", "peer", "name", "nic", "netns", &netns];
        self.run("ip", &ends);
        self.run("ip", &["-n", &self.home, "link", "set", port, "up"]);
        self.set_mac(name, &mac);
        self.run("ip", &["-n", &netns, "link", "set", "lo", "up"]);
        // The switch would take a checksum that nobody has computed for a wrong one.
        for (netns, device) in [(&self.home, port), (&netns, "nic")] {
            self.no_offload(netns, device);
        }
        self.run("ip", &["-n", &netns, "addr", "add", &format!("10.9.0.{number}/24"), "dev", "nic"]);
        let ipv6 = format!("fd00:9::{number}/64");
        self.run("ip", &["-n", &netns, "addr", "add", &ipv6, "dev", "nic", "nodad"]);
        let mut arguments = vec!["add-port", "xenbr0", port];
        let ids: Vec<String> = ids.iter().map(|(key, id)| format!("external_ids:{key}={id}")).collect();
        let mac = format!("external_ids:attached-mac=\"{mac}\"");
        if !ids.is_empty() {
            arguments.extend(["--", "set", "interface", port, &mac]);
            arguments.extend(ids.iter().map(String::as_str));
        }
        self.vsctl(&arguments);
        self.start_program(name, &netns);
    }

    pub fn set_mac(&self, guest: &str, mac: &str) {
        let netns = self.netns(guest);
        self.run("ip", &["-n", &netns, "link", "set", "nic", "address", mac]);
        self.run("ip", &["-n", &netns, "link", "set", "nic", "up"]);
    }

    /// One more address for the guest.
    pub fn address(&self, guest: &str, address: &str) {
        self.run("ip", &["-n", &self.netns(guest), "addr", "add", &format!("{address}/24"), "dev", "nic"]);
    }

    fn no_offload(&self, netns: &str, device: &str) {
        let script = format!("{PROGRAM}no_offload({device:?})");
        self.run("ip", &["netns", "exec", netns, "/usr/bin/python3", "-c", &script]);
    }

    /// Starts the guest's program, which waits for connections and for what it is to do.
    fn start_program(&self, name: &str, netns: &str) {
        let mut command = Command::new("ip");
        let script = format!("{PROGRAM}main()");
        command.args(["netns", "exec", netns, "/usr/bin/python3", "-c", &script]);
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        let answers = BufReader::new(output);
        let (name, netns) = (name.to_owned(), netns.to_owned());
        self.guests.borrow_mut().push(Guest { name: name.clone(), netns, program, input, answers });
        assert_eq!(self.tell(&name, "'ready'"), "ready");
    }

    /// Has the guest's program do something, and gives back what it says of it.
    #[track_caller]
    fn tell(&self, guest: &str, what: &str) -> String {
        let mut guests = self.guests.borrow_mut();
        let guest = guests.iter_mut().find(|there| there.name == guest).unwrap();
        writeln!(guest.input, "{what}").unwrap();
        let mut line = String::new();
        guest.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn address_of(guest: &str, is_ipv6: bool) -> String {
        let number = ["a", "b", "c"].iter().position(|name| *name == guest).unwrap() + 1;
        if is_ipv6 { format!("fd00:9::{number}") } else { format!("10.9.0.{number}") }
    }

    /// Which of them get through, with the answer, all tried at once, and whether that was to be expected.
    pub fn reaches(&self, from: &str, to: &str, probes: &[(Probe, bool)]) -> Vec<bool> {
        let one = |(probe, expected): &(Probe, bool)| match probe {
            Probe::Port(protocol, port) => {
                let address = Switch::address_of(to, protocol.ends_with('6'));
                format!("(connect, {protocol:?}, {address:?}, {port}, {})", patience_s(*expected))
            }
            Probe::Ping(family) => {
                format!("(ping, {:?}, None, {})", Switch::address_of(to, *family == 6), patience_s(*expected))
            }
        };
        let list: Vec<String> = probes.iter().map(one).collect();
        let told = self.tell(from, &format!("all_of([{}])", list.join(", ")));
        let answers: Vec<bool> = told.split(' ').map(|word| word == "True").collect();
        assert_eq!(answers.len(), probes.len(), "{told}");
        answers
    }

    /// A ping that comes from one of the guest's other addresses is answered, or is not.
    #[track_caller]
    pub fn ping_from(&self, source: &str, from: &str, to: &str, expected: bool) {
        let to = Switch::address_of(to, false);
        let told = self.tell(from, &format!("ping({to:?}, {source:?}, {})", patience_s(expected)));
        assert_eq!(told == "True", expected, "from {source}");
    }

    /// A datagram for the guest's address reaches its program in a frame to this MAC address, with this tag, or does not.
    #[track_caller]
    pub fn udp_in_frame(&self, from: &str, to: &str, frame: (&str, Option<u16>), expected: bool) {
        let (source, address) = (Switch::address_of(from, false), Switch::address_of(to, false));
        let (mac, tag) = (frame.0.replace(':', ""), frame.1.map_or("None".to_owned(), |tag| tag.to_string()));
        self.tell(to, "heard.clear()");
        let send = format!("send_frame({source:?}, {address:?}, 53, {mac:?}, {tag})");
        let is_heard = || {
            assert_eq!(self.tell(from, &send), "None");
            self.tell(to, "hears(53, 0.3)") == "True"
        };
        let times = if expected { 60 } else { 1 };
        assert_eq!((0..times).any(|_| is_heard()), expected, "{frame:?} from {from}");
    }

    /// Opens a TCP connection that stays open.
    pub fn open_stream(&self, from: &str, to: &str, port: u16) {
        let address = Switch::address_of(to, false);
        assert_eq!(self.tell(from, &format!("open_stream({address:?}, {port})")), "None");
    }

    /// Sends a word over that connection and waits for its echo.
    #[track_caller]
    pub fn exchange(&self, from: &str) {
        assert_eq!(self.tell(from, "exchange()"), "True");
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            _ = daemon.kill();
            _ = daemon.wait();
        }
        let mut netns = vec![self.home.clone()];
        for mut guest in self.guests.take() {
            _ = guest.program.kill();
            _ = guest.program.wait();
            netns.push(guest.netns);
        }
        for netns in netns {
            _ = Command::new("ip").args(["netns", "del", &netns]).output();
        }
    }
}

/// How long is waited for an answer: for one that is not to come only so long.
fn patience_s(expected: bool) -> &'static str {
    if expected { "20" } else { "0.3" }
}

/// A guest's program.
const PROGRAM: &str = r#"
import ctypes, fcntl, itertools, select, socket, struct, sys, threading, time
PORTS = [22, 53, 54, 80, 81, 443, 999, 1000, 1007, 1008, 8080]
FAMILIES = [socket.AF_INET, socket.AF_INET6]

heard = {}

def no_offload(device):
    value = ctypes.create_string_buffer(struct.pack("II", 0x17, 0))  # ETHTOOL_STXCSUM
    request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
    fcntl.ioctl(socket.socket(), 0x8946, request)  # SIOCETHTOOL

def listener(family, kind, port):
    s = socket.socket(family, kind)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", port))
    if kind == socket.SOCK_STREAM:
        s.listen(20)
    return s

def echo(connection):
    connection.sendall(b"hello")
    while True:
        data = connection.recv(100)
        if not data:
            return
        connection.sendall(data)

def serve(listeners):
    while True:
        for s in select.select(listeners, [], [])[0]:
            if s.type == socket.SOCK_STREAM:
                threading.Thread(target=echo, args=[s.accept()[0]], daemon=True).start()
            else:
                data, peer = s.recvfrom(100)
                heard[s.getsockname()[1]] = True
                s.sendto(data, peer)

def main():
    kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM]
    listeners = [listener(f, k, p) for f in FAMILIES for k in kinds for p in PORTS]
    threading.Thread(target=serve, args=[listeners], daemon=True).start()
    for line in sys.stdin:
        print(eval(line), flush=True)

def all_of(probes):
    answers = [False] * len(probes)
    def one(at, probe):
        answers[at] = probe[0](*probe[1:])
    threads = [threading.Thread(target=one, args=[at, probe]) for at, probe in enumerate(probes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return " ".join(map(str, answers))

def connect(protocol, address, port, patience):
    family = FAMILIES[protocol.endswith("6")]
    is_tcp = protocol.startswith("tcp")
    s = socket.socket(family, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
    s.settimeout(patience if is_tcp else 0.3)
    end = time.time() + patience
    while True:
        try:
            s.connect((address, port))
            if not is_tcp:
                s.send(b"hello")
            return s.recv(100) == b"hello"
        except OSError:
            if is_tcp or time.time() >= end:
                return False

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff

# Each is another connection.
numbers = itertools.count(2000)

def ping(address, source, patience):
    six = ":" in address
    s = socket.socket(FAMILIES[six], socket.SOCK_RAW, 58 if six else 1)
    if source:
        s.bind((source, 0))
    number = next(numbers)
    request, reply = (128, 129) if six else (8, 0)
    data = struct.pack("!BBHHH8s", request, 0, 0, number, 1, b"12345678")
    if not six:
        data = struct.pack("!BBHHH8s", request, 0, checksum(data), number, 1, b"12345678")
    end = time.time() + patience
    while time.time() < end:
        s.sendto(data, (address, 0))
        if not select.select([s], [], [], 0.3)[0]:
            continue
        answer = s.recv(2000)
        answer = answer if six else answer[20:]
        if answer[0] == reply and struct.unpack("!H", answer[4:6])[0] == number:
            return True
    return False

def hears(port, patience):
    end = time.time() + patience
    while time.time() < end and port not in heard:
        time.sleep(0.01)
    return port in heard

def send_frame(source, address, port, mac, tag):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("nic", 0))
    own = s.getsockname()[4]
    udp = struct.pack("!HHHH", next(numbers), port, 13, 0) + b"hello"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(address))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    vlan = b"" if tag is None else b"\x81\x00" + struct.pack("!H", tag)
    s.send(bytes.fromhex(mac) + own + vlan + b"\x08\x00" + head + udp)

def open_stream(address, port):
    global stream
    stream = socket.create_connection((address, port), 10)
    assert stream.recv(100) == b"hello"

def exchange():
    stream.sendall(b"word")
    return stream.recv(100) == b"word"

"#;
