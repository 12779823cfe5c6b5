//! The probes, through their links, with what a real onemonitord sent.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Host, Recorded, Said, said};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn probe(host: &Host, folder: &str, name: &str, args: &[&str]) -> Said {
    let link = host.path(&format!("remotes/im/xcp-probes.d/{folder}/{name}"));
    if !link.exists() {
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(common::PROGRAM, &link).unwrap();
    }
    said(host.command(link).args(args), &Recorded::load("run_monitord_client").stdin)
}

#[test]
fn host_system_tells_what_the_host_is_and_how_full_its_datastores_are() {
    let host = Host::new();
    fs::write(host.path("remotes/VERSION"), "7.4.0\n").unwrap();
    fs::write(host.path("datastores/0/.monitor"), "ssh\n").unwrap();
    fs::create_dir(host.path("datastores/1")).unwrap();
    let text = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).ok();
    for line in [
        "HYPERVISOR=\"xcp\"",
        "HOSTNAME=\"xcp-a\"",
        "TOTALCPU=800",
        "TOTALMEMORY=16777216",
        "MODELNAME=\"Intel(R) Xeon(R) CPU E5-2630 v3 @ 2.40GHz\"",
        "CPUSPEED=2400",
        "XCP_VERSION=\"8.3.0\"",
        "VERSION=\"7.4.0\"",
        "CORE = [ NODE_ID = \"0\", ID = \"7\", CPUS = \"7\" ]",
        "MEMORY_NODE = [ NODE_ID = \"0\", TOTAL = \"16777216\", DISTANCE = \"0\" ]",
    ] {
        assert!(text.lines().any(|given| given == line), "{line} is not in\n{text}");
    }
    let stores: Vec<&str> = text.lines().filter(|line| line.starts_with("DS = [ ID=")).collect();
    assert_eq!(stores.len(), 1, "{text}");
    assert!(stores[0].starts_with("DS = [ ID=0, USED_MB="), "{text}");
    assert!(text.contains("DS_LOCATION_FREE_MB="), "{text}");
}

/// The scheduler of OpenNebula 7.4.0 says "Not enough capacity on datastores" of a host without `DS_LOCATION_*`.
#[test]
fn host_system_makes_the_folder_of_the_datastores_on_a_fresh_host() {
    let host = Host::new();
    let fresh = host.path("fresh/one/datastores");
    let location = fresh.display().to_string();
    let host = host.set("DATASTORE_LOCATION", &location);
    let text = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).ok();
    assert!(fresh.is_dir());
    for name in ["USED", "TOTAL", "FREE"] {
        let wanted = format!("DS_LOCATION_{name}_MB=");
        let line = text.lines().find_map(|line| line.strip_prefix(&wanted)).unwrap();
        assert!(line.parse::<u64>().is_ok(), "{text}");
    }
}

#[test]
fn host_system_fails_if_the_folder_of_the_datastores_cannot_be_made() {
    let host = Host::new();
    fs::write(host.path("file"), "").unwrap();
    let location = host.path("file/datastores").display().to_string();
    let host = host.set("DATASTORE_LOCATION", &location);
    let failure = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).failure();
    assert!(failure.contains(&format!("cannot make the folder of the datastores, {location}")), "{failure}");
    assert!(failure.contains("Not a directory"), "{failure}");
}

#[test]
fn host_system_tells_of_the_pool_and_the_srs_that_the_host_sees() {
    let host = Host::new();
    let pool = host.xe(&["pool-list", "--minimal"]);
    host.xe(&["pool-param-set", &format!("uuid={pool}"), "name-label=rack \"7\" ]"]);
    let text = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).ok();
    assert!(text.lines().any(|line| line == "XCP_POOL=\"rack 7 \""), "{text}");
    let srs: Vec<&str> = text.lines().filter(|line| line.starts_with("XCP_SR = [ UUID = \"")).collect();
    assert_eq!(srs.len(), 2, "its own and the shared one, no ISOs: {text}");
    let of = |name: &str| *srs.iter().find(|line| line.contains(&format!("NAME = \"{name}\""))).unwrap();
    assert!(of("Shared NFS").contains("TYPE = \"nfs\", SHARED = \"YES\", USED_MB = "), "{text}");
    assert!(
        of("Local storage").contains("TYPE = \"ext\", SHARED = \"NO\", USED_MB = 0, TOTAL_MB = "),
        "{text}"
    );
    // No filter, no devices.
    assert!(!text.contains("PCI ="), "{text}");
}

#[test]
fn host_system_tells_where_cpus_are_as_xen_says() {
    let host = Host::new();
    let xl = host.path("bin/xl");
    let row = |text: String, cpu: u32| text + &format!("  {cpu}:       {0}        {0}        {0}\n", cpu / 4);
    let rows = (0..8).fold(String::new(), row);
    fs::write(
        &xl,
        format!(
            "#!/bin/sh\n[ \"$*\" = 'info -n' ] || exit 2\ncat <<'E'\ncpu_topology           :\ncpu:    core    socket     node\n\
             {rows}numa_info              :\nnode:    memsize    memfree    distances\n   0:      9216       1024      10,21\n   \
             1:      9216       2048      21,10\nE\n"
        ),
    )
    .unwrap();
    fs::set_permissions(&xl, fs::Permissions::from_mode(0o755)).unwrap();
    let text = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).ok();
    for line in [
        "CORE = [ NODE_ID = \"1\", ID = \"4\", CPUS = \"4,5,6,7\" ]",
        "MEMORY_NODE = [ NODE_ID = \"1\", TOTAL = \"8388608\", DISTANCE = \"1 0\" ]",
    ] {
        assert!(text.lines().any(|given| given == line), "{line} is not in\n{text}");
    }
    assert_eq!(text.matches("CORE = [").count(), 2, "{text}");
}

#[test]
fn a_filter_of_pci_devices_that_is_none_is_named() {
    let host = Host::new().set("PCI_FILTER", "10de:geforce");
    let line = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).failure();
    assert!(line.contains("PCI_FILTER: \"geforce\" is not a hexadecimal number"), "{line}");
}

#[test]
fn host_monitor_adds_up() {
    let host = Host::new();
    host.deploy().ok();
    let text = probe(&host, "host/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]).ok();
    let value = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
        line.parse().unwrap()
    };
    assert_eq!(value("USEDMEMORY") + value("FREEMEMORY"), 16_777_216, "{text}");
    assert!(value("USEDMEMORY") >= 524_288, "{text}");
    assert_eq!(value("USEDCPU") + value("FREECPU"), 800, "{text}");
}

#[test]
fn vm_status_lists_only_opennebulas_vms_of_this_host() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let line = format!("VM = [ ID=\"1\", DEPLOY_ID=\"{uuid}\", STATE=\"RUNNING\" ]");
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "0", "xcp-a"]).ok(), line);
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "1", "xcp-b"]).ok(), "");
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "0", "xcp-a"]).ok(), "");
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "1", "xcp-b"]).ok(), line);
}

#[test]
fn a_host_that_the_pool_does_not_have_is_an_error() {
    let host = Host::new();
    let line = probe(&host, "host/system", "xcp-system", &["xcp", "7", "xcp-z"]).failure();
    assert!(line.contains("no host of the pool goes by the name \"xcp-z\""), "{line}");
}

#[test]
fn a_host_that_was_renamed_is_told_by_its_inventory() {
    let host = Host::new();
    let uuid = host.xe(&["host-list", "name-label=xcp-b", "--minimal"]);
    let inventory = host.path("xensource-inventory");
    fs::write(&inventory, format!("PRODUCT_BRAND='XCP-ng'\nINSTALLATION_UUID='{uuid}'\n")).unwrap();
    let host = host.set("XENSOURCE_INVENTORY", inventory.to_str().unwrap());
    let text = probe(&host, "host/system", "xcp-system", &["xcp", "7", "its-name-of-before"]).ok();
    assert!(text.contains("HOSTNAME=\"xcp-b\""), "{text}");
    // Where something would be changed, a name that nobody knows is a mistake.
    let before = host.dump();
    let document = Recorded::load("deploy").stdin;
    let line = host.deploy_document("its-name-of-before", &document).failure();
    assert!(line.contains("no host of the pool goes by the name"), "{line}");
    host.is_as(&before);
    // From elsewhere nothing tells.
    let elsewhere = host.set("XE_SERVER", "xcp-a");
    probe(&elsewhere, "host/system", "xcp-system", &["xcp", "7", "its-name-of-before"]).failure();
}

/// The text in the MONITOR of each VM, by OpenNebula's number.
fn monitored(text: &str) -> Vec<(u32, String)> {
    let line = |line: &str| {
        let id = line.split_once("ID=\"").unwrap().1.split('"').next().unwrap().parse().unwrap();
        let packed = line.split_once("MONITOR=\"").unwrap().1.split('"').next().unwrap().to_owned();
        (id, String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap())
    };
    text.lines().map(line).collect()
}

#[test]
fn vm_monitor_tells_addresses_and_how_large_disks_are() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.sim(&["guest", &uuid, "ip=10.0.0.7"]);
    let vms = monitored(&probe(&host, "vm/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]).ok());
    assert_eq!(vms.len(), 1);
    let text = &vms[0].1;
    let taken = |disk: &str| {
        let of = format!("uuid={}", host.vdi_in(&uuid, disk));
        let bytes: u64 =
            host.xe(&["vdi-list", &of, "params=physical-utilisation", "--minimal"]).parse().unwrap();
        format!("DISK_SIZE=[ID={disk},SIZE={}]", bytes.div_ceil(1 << 20))
    };
    let (image, swap) = (taken("0"), taken("1"));
    // The swap disk's 128 MB are not taken of a thin SR before the guest writes them.
    assert!(image != "DISK_SIZE=[ID=0,SIZE=0]" && swap != "DISK_SIZE=[ID=1,SIZE=128]", "{image} {swap}");
    for line in ["MEMORY=\"524288\"", "GUEST_IP=\"10.0.0.7\"", &image, &swap] {
        assert!(text.lines().any(|given| given == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("GUEST_IP_ADDRESSES=\"") && text.contains(",10.0.0.7\""), "{text}");
}

#[test]
fn what_a_guest_writes_forges_nothing_and_costs_only_itself() {
    let host = Host::with_pool(&["--vms", "6"]);
    let filters = ["vm-list", "is-control-domain=false", "params=uuid", "--minimal"];
    let on_a = format!("resident-on={}", host.xe(&["host-list", "name-label=xcp-a", "--minimal"]));
    let vms = host.xe(&[&filters[..], &[&on_a]].concat());
    let vms: Vec<&str> = vms.split(',').collect();
    let (victim, attacker) = (vms[0], *vms.last().unwrap());
    host.sim(&["guest", victim, "ip=10.9.9.9"]);
    let record = format!("uuid ( RO)     : {victim}\n    networks (MRO): 0/ip: 6.6.6.6\n\n\n");
    for forged in [
        format!("6.6.6.6\n\n\n{record}"),
        format!("6.6.6.6,{victim}"),
        "6.6.6.6\\,6.6.6.7".to_owned(),
        "6.6.6.6\" ]\nVM = [ ID=\"1\", STATE=\"FAILURE\" ]".to_owned(),
        "6.6.6.6]".to_owned(),
        "6.6.6.6\n".to_owned(),
    ] {
        host.sim(&["guest", attacker, &format!("ip={forged}")]);
        let text = probe(&host, "vm/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]).ok();
        let told = monitored(&text);
        assert_eq!(told.len(), vms.len(), "{text}");
        assert!(told.iter().all(|(_, text)| !text.contains("6.6.6.6")), "{forged:?}: {told:#?}");
        let of = |vm: &str| {
            let place = text.lines().position(|line| line.contains(vm)).unwrap();
            told[place].1.clone()
        };
        assert!(of(victim).contains("GUEST_IP=\"10.9.9.9\"\n"), "{forged:?}: {told:#?}");
        assert!(!of(attacker).contains("GUEST_IP") && of(attacker).contains("MEMORY="), "{told:#?}");
    }
}

/// What OpenNebula would make of the wild VMs in a probe's text: name and template.
fn wilds(text: &str) -> Vec<(String, String)> {
    let value = |line: &str, name: &str| {
        line.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap().to_owned()
    };
    let wild = text.lines().filter(|line| line.starts_with("VM = [ ID=\"-1\", DEPLOY_ID=\""));
    wild.map(|line| {
        let template = STANDARD.decode(value(line, "IMPORT_TEMPLATE")).unwrap();
        (value(line, "VM_NAME"), String::from_utf8(template).unwrap())
    })
    .collect()
}

#[test]
fn wild_vms_come_with_a_template_to_import_them_by() {
    let host = Host::with_pool(&["--vms", "4"]);
    let mail = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    let template = format!(
        "NAME=\"Mail server\"\nCPU=1\nVCPU=1\nMEMORY=256\nHYPERVISOR=\"xcp\"\nDEPLOY_ID=\"{mail}\"\nOS=[ARCH=\"x86_64\"]\n"
    );
    for (folder, name) in [("vm/snapshot", "xcp-snapshot"), ("host/system", "xcp-system")] {
        assert_eq!(wilds(&probe(&host, folder, name, &["xcp", "0", "xcp-a"]).ok()), [], "{folder}");
        let text = probe(&host, folder, name, &["xcp", "1", "xcp-b"]).ok();
        assert_eq!(wilds(&text), [("Mail server".to_owned(), template.clone())], "{text}");
        assert!(text.contains(&format!("DEPLOY_ID=\"{mail}\"")), "{text}");
    }
    fs::write(host.path("remotes/VERSION"), "5.10.5\n").unwrap();
    let text = probe(&host, "vm/snapshot", "xcp-snapshot", &["xcp", "1", "xcp-b"]).ok();
    assert_eq!(wilds(&text)[0].1, template.replace("DEPLOY_ID", "IMPORT_VM_ID"));
}

#[test]
fn copies_and_snapshots_of_opennebulas_vms_are_told_apart() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-snapshot", &format!("uuid={uuid}"), "new-name-label=before the update"]);
    let seen = |text: String| wilds(&text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let on_a = || seen(probe(&host, "vm/snapshot", "xcp-snapshot", &["xcp", "0", "xcp-a"]).ok());
    assert_eq!(on_a(), [""; 0]);
    // Somebody's own VM, with all the marks of ours.
    let snapshot = host.xe(&["snapshot-list", "--minimal"]);
    let copy = host.xe(&["vm-install", &format!("template={snapshot}"), "new-name-label=copy of one-1"]);
    host.xe(&["vm-start", &format!("uuid={copy}"), "on=xcp-a"]);
    assert_eq!(on_a(), ["copy of one-1"]);
    for ours in ["one-7", "one-7-being-made", "one-12-disk"] {
        host.xe(&["vm-param-set", &format!("uuid={copy}"), &format!("name-label={ours}")]);
        assert_eq!(on_a(), [""; 0], "{ours}");
    }
    host.xe(&["vm-param-set", &format!("uuid={copy}"), "name-label=one\"] quoted\\ "]);
    assert_eq!(on_a(), ["one quoted"]);
}

#[test]
fn beacon_and_execution_need_no_xapi() {
    let host = Host::new();
    host.forget_calls();
    let beacon = probe(&host, "host/beacon", "xcp-beacon", &["xcp", "0", "xcp-a"]).ok();
    assert!(beacon.strip_prefix("BEACON=").unwrap().parse::<u64>().unwrap() > 1_600_000_000, "{beacon}");
    assert_eq!(probe(&host, "vm/execution", "xcp-execution", &["xcp", "0", "xcp-a"]).ok(), "");
    assert!(host.calls().is_empty(), "{:?}", host.calls());
}

#[test]
fn up_to_6_10_an_imported_vm_is_told_by_its_deploy_id() {
    let host = Host::new();
    let mail = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    let told = |folder: &str, name: &str| probe(&host, folder, name, &["xcp", "1", "xcp-b"]).ok();
    for (release, imports) in [("7.4.0", false), ("6.10.5", true)] {
        fs::write(host.path("remotes/VERSION"), release).unwrap();
        let state = format!("VM = [ ID=\"-1\", DEPLOY_ID=\"{mail}\", STATE=\"RUNNING\" ]");
        assert_eq!(told("vm/status", "xcp-status") == state, imports, "{release}");
        let used = format!("VM = [ ID=\"-1\", DEPLOY_ID=\"{mail}\", MONITOR=\"");
        assert_eq!(told("vm/monitor", "xcp-monitor").starts_with(&used), imports, "{release}");
    }
}

#[test]
fn figures_of_cpu_network_and_disks_come_from_xapis_socket() {
    let host = Host::new();
    let xapi = host.serve("xcp-a");
    let host = host.set("XAPI_SOCKET", xapi.socket.to_str().unwrap());
    host.deploy().ok();
    let said = probe(&host, "host/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]);
    assert_eq!(said.stderr, "");
    // 1024 bytes a second, for the ten seconds that a first look goes back, on each of two interfaces.
    let text = said.ok();
    let received: u64 = text.lines().find_map(|line| line.strip_prefix("NETRX=")).unwrap().parse().unwrap();
    assert!([20_480, 10_240, 30_720].contains(&received), "{text}");
    drop(xapi);
    let said = probe(&host, "vm/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]);
    assert!(
        said.stderr.starts_with(
            "WARN: no figures of networks and disks, and each VM's CPU is asked by itself, 32 in a round: "
        ),
        "{said:?}"
    );
    assert!(said.ok().contains("VM = [ ID=\"1\""));
}

#[test]
fn without_measurements_the_hosts_memory_is_told() {
    let host = Host::new();
    host.sim(&["fail", "host-data-source-query", "--always"]);
    let told = probe(&host, "host/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]).ok();
    assert!(told.contains("USEDMEMORY=") && told.contains("FREEMEMORY="), "{told}");
    assert!(!told.contains("CPU="), "{told}");
}
