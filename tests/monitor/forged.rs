//! Text that tenants, guests and others wrote, which must stay within its value.

use super::monitord::Monitord;
use super::site::{Site, part, running, uuid};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;

/// A name that ends its value, its line and its record in each way there is.
const FORGED: &str =
    "evil\" ]\0,\r\nVM = [ ID=\"9\", STATE=\"FAILURE\" ]\n\n\nuuid ( RO)    : x\n    name-label ( RW): y]\\";
/// What is left of it.
const HARMLESS: &str = "evil ,VM =  ID=9, STATE=FAILURE uuid ( RO)    : x    name-label ( RW): y";

/// As `xe --minimal` prints a value (xapi cli_printer.ml:49).
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}

/// Where VM 1 is ours and VM 2 wild, with that name and that address.
fn site(port: u16) -> Site {
    let site = Site::new(port);
    site.vms(&[running(1), running(2)]);
    let list = fs::read_to_string(site.path("records/vm-list")).unwrap();
    site.write("records/vm-list", &list.replace(&format!("one_vm_uuid: {}", uuid(2)), "note: x"));
    let forged = escaped(FORGED);
    site.write("records/vm-list.name-label", &format!("one-1,{forged}\n"));
    site.write("records/vm-list.networks", &format!("0/ip: 10.0.0.1,0/ip: 6.6.6.6{forged}\n"));
    site.write("records/pool-list.name-label", &format!("{forged}\n"));
    let host = fs::read_to_string(site.path("records/host-list")).unwrap();
    site.write("records/host-list", &host.replace("A \"CPU\"", "A \"CPU ]\0\\\""));
    let sr = fs::read_to_string(site.path("records/sr-list")).unwrap();
    site.write("records/sr-list", &sr.replace("Local storage", "Local\" ]\\ storage\0"));
    site
}

#[test]
fn names_and_addresses_end_neither_their_value_nor_their_line() {
    let monitord = Monitord::new();
    let site = site(monitord.port);
    // What 6.10 tells of imported VMs is of wild ones, too.
    fs::write(site.path("remotes/VERSION"), "6.10.5\n").unwrap();
    let document = site.start().ok();
    let system = part(&document, "SYSTEM_HOST");
    let line = |start: &str| -> String {
        let found: Vec<&str> = system.lines().filter(|line| line.starts_with(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {system}");
        found[0].to_owned()
    };
    assert_eq!(line("MODELNAME="), "MODELNAME=\"A CPU \"");
    assert_eq!(line("XCP_POOL="), format!("XCP_POOL=\"{HARMLESS}\""));
    assert!(line("XCP_SR = ").starts_with("XCP_SR = [ UUID = \"cccccccc-"));
    assert!(line("XCP_SR = ").contains("NAME = \"Local  storage\", TYPE = "), "{system}");
    let wild = line("VM = ");
    let start =
        format!("VM = [ ID=\"-1\", DEPLOY_ID=\"{}\", VM_NAME=\"{HARMLESS}\", IMPORT_TEMPLATE=\"", uuid(2));
    let template = wild.strip_prefix(&start).unwrap_or_else(|| panic!("{wild}\n{start}"));
    let template = STANDARD.decode(template.strip_suffix("\" ]").unwrap()).unwrap();
    let template = String::from_utf8(template).unwrap();
    assert!(template.starts_with(&format!("NAME=\"{HARMLESS}\"\nCPU=")), "{template}");
    assert_eq!(template.lines().count(), 7, "{template}");
    assert!(!system.contains(['\0', '\r', '\\']), "{system:?}");

    let monitor = part(&document, "MONITOR_VM");
    let used: Vec<String> = monitor
        .lines()
        .map(|line| {
            let packed = line.split_once("MONITOR=\"").unwrap().1.strip_suffix("\" ]").unwrap();
            String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap()
        })
        .collect();
    assert_eq!(used.len(), 2, "{monitor}");
    assert!(used[0].contains("GUEST_IP=\"10.0.0.1\"\n"), "{used:?}");
    assert!(!used[1].contains("GUEST_IP") && used[1].contains("MEMORY="), "{used:?}");
    let states = part(&document, "STATE_VM");
    assert_eq!(states.lines().filter(|line| line.starts_with("VM = ")).count(), 2, "{states}");
    assert!(!document.contains('\0') && !states.contains("FAILURE"), "{states}");
}
