//! `one-xcp ls`: OpenNebula's VMs in the pool.
use crate::common::Host;

#[test]
fn it_lists_opennebulas_vms_and_nobody_elses() {
    let host = Host::new();
    assert_eq!(host.one_xcp(&["ls"]).ok(), "ID  NAME  STATE  HOST  UUID");
    let uuid = host.deploy().ok();
    host.xe(&["vm-install", "template=Other install media", "new-name-label=one-9"]);
    host.forget_calls();
    let table = host.one_xcp(&["ls"]).ok();
    assert_eq!(table, format!("ID  NAME   STATE    HOST   UUID\n1   one-1  RUNNING  xcp-a  {uuid}"));
    assert_eq!(host.calls().len(), 2, "{:?}", host.calls());
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    assert!(host.one_xcp(&["ls"]).ok().ends_with(&format!("1   one-1  POWEROFF  -     {uuid}")));
}

#[test]
fn users_names_are_shown_when_asked_for_and_stay_on_their_line() {
    let host = Host::with_pool(&["--vms", "3"]);
    let uuid = host.xe(&["vm-list", "name-label=one-2", "--minimal"]);
    host.xe(&["vm-param-set", &format!("uuid={uuid}"), "name-description=my\tVM  \"two\""]);
    let table = host.one_xcp(&["ls", "--names"]).ok();
    assert!(table.contains("\n2   my VM \"two\"  RUNNING  xcp-b  "), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
}

#[test]
fn json_says_the_same() {
    let host = Host::new();
    assert_eq!(host.one_xcp(&["ls", "--json"]).ok(), "[]");
    let uuid = host.deploy().ok();
    let on = host.vm_param(&uuid, "resident-on");
    assert_eq!(
        host.one_xcp(&["ls", "--json"]).ok(),
        format!(
            "[\n{{\"vm_id\":1,\"name\":\"one-1\",\"state\":\"RUNNING\",\"host\":\"xcp-a\",\
             \"host_uuid\":\"{on}\",\"uuid\":\"{uuid}\"}}\n]"
        )
    );
}
