//! `resize`, through its link, with what a real oned sent.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, Said};

const MIB: u64 = 1 << 20;

/// From 512 to 768 MB.
fn memory() -> RecordedAction {
    RecordedAction::load("resize", "resize")
}

/// From 2 to 3 CPUs, at 768 MB.
fn cpus() -> RecordedAction {
    RecordedAction::load("resize", "resize.2")
}

/// To this memory, in MB, and nothing else.
fn memory_of(megabytes: u32) -> RecordedAction {
    memory().with(
        "<MEMORY><![CDATA[768]]></MEMORY><MEMORY_MAX>",
        &format!("<MEMORY>{megabytes}</MEMORY><MEMORY_MAX>"),
    )
}

/// Memory, CPUs and share at once.
fn all() -> RecordedAction {
    cpus().with("<CPU><![CDATA[0.5]]></CPU><DISK>", "<CPU><![CDATA[1.5]]></CPU><DISK>")
}

fn number(host: &Host, uuid: &str, field: &str) -> u64 {
    host.vm_param(uuid, field).parse().unwrap()
}

fn weight(host: &Host, uuid: &str) -> String {
    let args = [format!("uuid={uuid}"), "param-name=VCPUs-params".into(), "param-key=weight".into()];
    host.xe(&["vm-param-get", &args[0], &args[1], &args[2]])
}

#[test]
fn memory_and_cpus_of_a_running_vm_grow_and_shrink() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    memory().run(&host, &uuid).ok();
    assert_eq!(number(&host, &uuid, "memory-actual"), 768 * MIB);
    assert_eq!(number(&host, &uuid, "memory-static-max"), 1024 * MIB);
    assert_eq!(number(&host, &uuid, "VCPUs-number"), 2);
    cpus().run(&host, &uuid).ok();
    assert_eq!(number(&host, &uuid, "VCPUs-number"), 3);
    assert_eq!(number(&host, &uuid, "VCPUs-at-startup"), 3);
    let smaller = cpus()
        .with("<MEMORY><![CDATA[768]]></MEMORY><MEMORY_MAX>", "<MEMORY><![CDATA[256]]></MEMORY><MEMORY_MAX>")
        .with("<VCPU><![CDATA[3]]></VCPU>", "<VCPU><![CDATA[1]]></VCPU>");
    smaller.run(&host, &uuid).ok();
    assert_eq!(number(&host, &uuid, "memory-dynamic-min"), 256 * MIB);
    assert_eq!(number(&host, &uuid, "memory-dynamic-max"), 256 * MIB);
    assert_eq!(number(&host, &uuid, "VCPUs-number"), 1);
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
}

#[test]
fn from_the_front_end_it_is_the_same() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    memory().run_from_front_end(&host, &uuid).ok();
    cpus().run_from_front_end(&host, &uuid).ok();
    assert_eq!(number(&host, &uuid, "memory-actual"), 768 * MIB);
    assert_eq!(number(&host, &uuid, "VCPUs-number"), 3);
}

#[test]
fn a_new_share_is_kept_for_the_next_start_and_said_so() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    assert_eq!(weight(&host, &uuid), "128");
    let said = all().run(&host, &uuid);
    let warning = "WARN: VM/TEMPLATE/CPU: XAPI takes the new weight 384 at the VM's next start";
    assert!(said.log().contains(&warning), "{said:#?}");
    said.ok();
    assert_eq!(weight(&host, &uuid), "384");
}

#[test]
fn with_cpu_cap_the_limit_follows() {
    let host = Host::new().set("CPU_CAP", "yes");
    let uuid = host.deploy().ok();
    all().run(&host, &uuid).ok();
    let params = host.vm_param(&uuid, "VCPUs-params");
    assert!(params.contains("cap: 150") && params.contains("weight: 384"), "{params}");
}

#[test]
fn repeated_it_changes_nothing() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    cpus().run(&host, &uuid).ok();
    let before = host.dump();
    let said = cpus().run(&host, &uuid);
    assert!(said.stderr.contains("has this size already"), "{said:#?}");
    said.ok();
    host.is_as(&before);
}

#[test]
fn whatever_call_fails_or_whenever_it_is_stopped_the_vm_is_as_it_was() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let again = |host: &Host| -> Said { all().run(host, &uuid) };
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];
    steps::each_call(&host, &ways, &|host| all().command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &again);
        assert_eq!(number(host, &uuid, "VCPUs-number"), 3);
        assert_eq!(number(host, &uuid, "memory-actual"), 768 * MIB);
    });
}

#[test]
fn a_killed_driver_s_work_is_finished_by_the_next() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    steps::each_call(&host, &[Wrong::Killed], &|host| all().command(host, &uuid), &|host, _| {
        all().run(host, &uuid).ok();
        assert_eq!(number(host, &uuid, "VCPUs-number"), 3);
        assert_eq!(number(host, &uuid, "memory-actual"), 768 * MIB);
    });
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_touched() {
    let vcpu = "<VCPU><![CDATA[3]]></VCPU>";
    let memory = "<MEMORY><![CDATA[768]]></MEMORY><MEMORY_MAX><![CDATA[1024]]>";
    let cases = [
        (vcpu, "<VCPU><![CDATA[5]]></VCPU>", "VM/TEMPLATE/VCPU is 5, and the VM was started with room for 4"),
        (vcpu, "<VCPU><![CDATA[three]]></VCPU>", "VM/TEMPLATE/VCPU is \"three\""),
        (vcpu, "<VCPU><![CDATA[0]]></VCPU>", "VM/TEMPLATE/VCPU is 0"),
        (
            memory,
            "<MEMORY><![CDATA[1025]]></MEMORY><MEMORY_MAX><![CDATA[2048]]>",
            "VM/TEMPLATE/MEMORY is 1025 MB, and the VM was started with room for 1024 MB",
        ),
        (memory, "<MEMORY><![CDATA[64]]></MEMORY><MEMORY_MAX><![CDATA[1024]]>", "less than 128 MB"),
        (memory, "<MEMORY/><MEMORY_MAX><![CDATA[1024]]>", "VM/TEMPLATE/MEMORY is missing"),
    ];
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    for (old, new, words) in cases {
        let line = cpus().with(old, new).run(&host, &uuid).failure();
        assert!(line.contains(words), "{line}");
        host.is_as(&before);
    }
    let line = host.run("resize", &[&uuid, "1", "xcp-a"], b"").failure();
    assert_eq!(line, "resize: standard input holds no message that tells the new size.");
    let line = host.run("resize", &["one-1", "1", "xcp-a"], b"").failure();
    assert!(line.contains("one-1"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_vm_that_is_not_running_or_gone_is_an_error() {
    let host = Host::new();
    let gone = "11111111-2222-3333-4444-000000000001";
    assert_eq!(memory().run(&host, gone).failure(), format!("resize: the pool has no VM {gone}."));
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let line = memory().run(&host, &uuid).failure();
    assert!(line.contains("is halted: only a running VM changes its size"), "{line}");
}

#[test]
fn a_guest_that_cannot_follow_is_told_of_in_plain_words() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.sim(&["guest", "one-1", "tools=no"]);
    let before = host.dump();
    let line = memory().run(&host, &uuid).failure();
    assert!(line.contains("the guest has no PV drivers"), "{line}");
    let only_cpus = cpus()
        .with("<MEMORY><![CDATA[768]]></MEMORY><MEMORY_MAX>", "<MEMORY><![CDATA[512]]></MEMORY><MEMORY_MAX>");
    let line = only_cpus.run(&host, &uuid).failure();
    assert!(line.contains("no running guest tools") && line.contains("(VM_LACKS_FEATURE)"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_full_host_is_named_as_the_reason() {
    let host = Host::new();
    let roomy =
        Recorded::load("deploy").with("<MEMORY_MAX><![CDATA[1024]]>", "<MEMORY_MAX><![CDATA[30720]]>");
    let uuid = host.deploy_document("xcp-a", &roomy.stdin).ok();
    let before = host.dump();
    let line = memory_of(20480).run(&host, &uuid).failure();
    assert!(line.contains("memory to 20480 MB: the host has not enough free memory"), "{line}");
    host.is_as(&before);
}

#[test]
fn two_at_once_end_with_one_of_the_two_sizes() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.sim(&["delay", "any", "30"]);
    let bigger = memory();
    let smaller = memory_of(256);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| bigger.run(&host, &uuid).ok());
        let second = scope.spawn(|| smaller.run(&host, &uuid).ok());
        first.join().unwrap();
        second.join().unwrap();
    });
    let limits = ["memory-dynamic-min", "memory-dynamic-max"].map(|field| number(&host, &uuid, field));
    assert!(limits == [768 * MIB; 2] || limits == [256 * MIB; 2], "{limits:?}");
}
