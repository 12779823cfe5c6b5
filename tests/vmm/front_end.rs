//! A VM's life by the scripts of the front-end (`one_vmm_sh`, `-l`), with the arguments and the base64 that a real
//! oned gave them; the pool is asked after each.

use crate::common::{Host, Recorded};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;

/// The recorded arguments of VM 3 on host `xcp-l`, for our host and the VM's uuid, and the recorded input.
fn run(host: &Host, action: &str, uuid: &str) -> String {
    let recorded = Recorded::load_from("opennebula-7.4-local", action);
    let args: Vec<String> = recorded
        .argv
        .iter()
        .map(|arg| arg.replace("11111111-2222-3333-4444-000000000003", uuid).replace("xcp-l", "xcp-a"))
        .map(|arg| arg.replace("/var/lib/one/vms", host.path("vms").to_str().unwrap()))
        .collect();
    // Snapshots are the exception: one_vmm_exec.rb sends these messages as they are.
    assert_eq!(recorded.stdin.starts_with(b"<"), action == "snapshot_create", "{action}");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    host.run(action, &args, &recorded.stdin).ok()
}

/// VM 3's disks below this folder, and the drivers on the front-end.
fn front_end(host: Host, datastores: &str) -> Host {
    let file = host.path("password");
    fs::write(&file, "root\nxen\n").unwrap();
    let folder = host.path(datastores).join("0/3");
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::rename(host.vm_folder(0, 1), &folder).unwrap();
    host.set("XE_SERVER", "HOST").set("XE_PASSWORD_FILE", file.to_str().unwrap())
}

#[test]
fn the_disks_are_where_opennebulas_datastore_is() {
    let host = front_end(Host::new(), "elsewhere/datastores").set("DATASTORE_LOCATION", "");
    let vms = host.path("vms/3");
    fs::create_dir_all(&vms).unwrap();
    let base_path = host.path("elsewhere//datastores/0");
    let xml = format!("<DATASTORE><ID>0</ID><BASE_PATH>{}</BASE_PATH></DATASTORE>", base_path.display());
    fs::write(vms.join("ds.xml"), STANDARD.encode(xml)).unwrap();
    let uuid = run(&host, "deploy", "");
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
}

#[test]
fn from_deployment_to_shutdown() {
    let host = front_end(Host::new(), "datastores");
    let uuid = run(&host, "deploy", "");
    assert_eq!(host.vm_param(&uuid, "name-label"), "one-3");
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");

    let vifs = || host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=MAC", "--minimal"]);
    let nics = vifs();
    run(&host, "attach_nic", &uuid);
    assert_eq!(vifs().split(',').count(), nics.split(',').filter(|mac| !mac.is_empty()).count() + 1);

    for action in ["prereconfigure", "reconfigure"] {
        run(&host, action, &uuid);
    }
    let tags = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    assert!(tags.contains("one-3-disk-"), "{tags}");

    let started = host.vm_param(&uuid, "start-time");
    run(&host, "reboot", &uuid);
    assert_ne!(host.vm_param(&uuid, "start-time"), started);

    let snapshot = run(&host, "snapshot_create", &uuid);
    assert_eq!(host.xe(&["snapshot-list", &format!("snapshot-of={uuid}"), "--minimal"]), snapshot);

    run(&host, "shutdown", &uuid);
    // It was a power-off: the VM stays with its snapshot.
    assert_eq!(host.vm_param(&uuid, "power-state"), "halted");
    assert_eq!(host.xe(&["snapshot-list", &format!("snapshot-of={uuid}"), "--minimal"]), snapshot);
}
