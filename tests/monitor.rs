//! The monitoring client, started as OpenNebula starts it, heard as onemonitord hears it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
#[path = "monitor/forged.rs"]
mod forged;
#[path = "monitor/metrics.rs"]
mod metrics;
#[path = "monitor/monitord.rs"]
mod monitord;
#[path = "monitor/powered_off.rs"]
mod powered_off;
#[path = "monitor/site.rs"]
mod site;
#[path = "monitor/survives.rs"]
mod survives;
#[path = "monitor/wire.rs"]
mod wire;

use common::said;
use monitord::{Monitord, PATIENCE};
use site::{HOST, OTHER_HOST, Site, Vm, halted, is_alive, part, running, state, uuid};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// XAPI does not listen: its toolstack restarts.
const REFUSED: &str = "Error: Connection refused (calling connect )\n";

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_first_round_is_printed_and_messages_follow() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    let document = site.start().ok();
    assert!(document.starts_with("<MONITOR_MESSAGES><SYSTEM_HOST>"), "{document}");
    assert!(document.ends_with("</TIMESTAMP></MONITOR_MESSAGES>"), "{document}");
    let system = part(&document, "SYSTEM_HOST");
    assert!(
        system.contains("HYPERVISOR=\"xcp\"\n") && system.contains("XCP_POOL=\"pool one\"\n"),
        "{system}"
    );
    assert!(part(&document, "MONITOR_HOST").contains("USEDCPU=200\n"));
    let all = "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned() + &state(1, "RUNNING");
    assert_eq!(part(&document, "STATE_VM"), all);
    assert!(part(&document, "MONITOR_VM").contains("ID=\"1\""));
    for kind in ["BEACON_HOST", "MONITOR_HOST", "MONITOR_VM"] {
        let got = monitord.wait_for(kind, "", 0);
        assert!(got.success && got.host_id == 0 && !got.by_tcp, "{got:?}");
    }
    assert!(monitord.got().iter().all(|got| got.kind != "STATE_VM"), "nothing changed");
}

#[test]
fn it_is_called_from_its_own_folder_with_nothing_but_the_document_to_say() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    fs::write(site.path("remotes/VERSION"), "7.4.0\n").unwrap();
    site.executable("remotes/im/xcp-probes.d/host/system/rack", "#!/bin/sh\necho RACK=7\n");
    // MONITOR_HOST cannot be told: without its CPU's use it would be, but not without its memory.
    let hosts = fs::read_to_string(site.path("records/host-list")).unwrap();
    let without = hosts.replace("memory-free ( RO): 8589934592", "memory-free ( RO): unknown");
    assert_ne!(hosts, without);
    site.write("records/host-list", &without);
    let mut command = site.command("bash");
    // As run_monitord_client does.
    command.args(["-c", r#"cd "$0" && ./monitord-client_control.sh xcp 0 xcp-a 2>&1"#]);
    let document = said(command.arg(site.path("remotes/im/xcp.d")), &site.configuration()).ok();
    assert!(document.starts_with("<MONITOR_MESSAGES>") && !document.contains("MONITOR_HOST"), "{document}");
    let system = part(&document, "SYSTEM_HOST");
    assert!(system.contains("VERSION=\"7.4.0\"\n") && system.contains("RACK=7\n"), "{system}");
    assert!(site.log().contains("MONITOR_HOST: "), "{}", site.log());
}

#[test]
fn a_changed_state_is_told_within_a_period() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1), running(2)]);
    site.start().ok();
    for (vms, said) in [
        (vec![halted(1), running(2)], state(1, "POWEROFF")),
        (vec![running(1), running(2)], state(1, "RUNNING")),
        (
            vec![running(1), Vm { power_state: "suspended", ..halted(2) }, running(3)],
            state(2, "SUSPENDED") + &state(3, "RUNNING"),
        ),
    ] {
        let (before, start) = (monitord.count(), Instant::now());
        site.vms(&vms);
        let got = monitord.wait_for("STATE_VM", "VM = ", before);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert!(got.by_tcp && got.text == said, "{got:?}");
    }
}

#[test]
fn a_vm_that_moves_or_is_being_moved_is_not_reported() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1), running(2), running(3), running(4)]);
    site.start().ok();
    site.vms(&[
        Vm { operations: "migrate_send", ..running(1) },
        Vm { resident_on: OTHER_HOST, ..running(2) },
        Vm { operations: "start", ..halted(3) },
        Vm { operations: "pool_migrate", resident_on: OTHER_HOST, ..running(4) },
    ]);
    let rounds = || site.calls().iter().filter(|call| call.contains("current-operations")).count();
    let before = rounds();
    eventually("five rounds", || rounds() > before + 5);
    assert!(monitord.got().iter().all(|got| got.kind != "STATE_VM"), "{:?}", monitord.got());
    // What is not in a list of all would be taken for powered off. VM 2 is for its new host to tell.
    let all = part(&site.start().ok(), "STATE_VM");
    let told = [1, 3, 4].map(|id| state(id, "RUNNING")).concat();
    assert_eq!(all, "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned() + &told);
}

#[test]
fn a_vm_that_left_the_pool_is_reported_after_three_rounds() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    site.start().ok();
    let start = Instant::now();
    site.vms(&[]);
    monitord.wait_for("STATE_VM", &state(1, "POWEROFF"), 0);
    assert!(start.elapsed() > Duration::from_millis(1900), "{:?}", start.elapsed());
}

#[test]
fn a_vm_that_an_action_is_at_work_on_is_left_to_it() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(77)]);
    site.start().ok();
    // It waits for its message. No other test has this VM: processes are all tests' to see.
    let mut action = site.command(common::PROGRAM);
    let mut action =
        action.args(["shutdown", &uuid(77), "xcp-a", "77"]).stdin(Stdio::piped()).spawn().unwrap();
    site.vms(&[halted(77)]);
    let rounds = || site.calls().iter().filter(|call| call.contains("current-operations")).count();
    let before = rounds();
    eventually("four rounds", || rounds() > before + 4);
    assert!(monitord.got().iter().all(|got| got.kind != "STATE_VM"), "{:?}", monitord.got());
    action.kill().unwrap();
    action.wait().unwrap();
    monitord.wait_for("STATE_VM", &state(77, "POWEROFF"), 0);
}

#[test]
fn nothing_is_lost_while_onemonitord_is_away() {
    let monitord = Monitord::new();
    let port = monitord.port;
    let site = Site::new(port);
    site.vms(&[running(1), running(2)]);
    site.start().ok();
    monitord.wait_for("BEACON_HOST", "", 0);
    drop(monitord);
    site.vms(&[halted(1), running(2)]);
    eventually("it notices", || site.log().contains("cannot send STATE_VM"));
    site.vms(&[halted(1), Vm { power_state: "suspended", ..halted(2) }]);
    let monitord = Monitord::again(port);
    let got = monitord.wait_for("STATE_VM", "VM = ", 0);
    assert!(got.text.starts_with("SYNC_STATE=yes\n"), "{got:?}");
    assert!(got.text.ends_with(&(state(1, "POWEROFF") + &state(2, "SUSPENDED"))), "{got:?}");
    assert!(monitord.wait_for("SYSTEM_HOST", "HYPERVISOR", 0).success);
    assert_eq!(site.log().matches("cannot send STATE_VM").count(), 1, "{}", site.log());
}

#[test]
fn a_second_client_takes_the_place_of_the_first() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.start().ok();
    let first = site.pid();
    assert!(is_alive(first));
    site.start().ok();
    assert!(site.pid() != first && is_alive(site.pid()));
    eventually("the first ends", || !is_alive(first));
}

#[test]
fn many_starts_at_once_leave_one_client() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| site.start());
        }
    });
    site.start().ok();
    let pid = site.pid();
    let needle = site.control().display().to_string();
    let clients = || -> Vec<u32> {
        let processes =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let numbers = processes.filter_map(|name| name.parse::<u32>().ok());
        let ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&needle)
        };
        numbers.filter(ours).collect()
    };
    eventually("only the last is left", || clients() == [pid]);
}

#[test]
fn stop_ends_it() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    for args in [&["xcp"][..], &["xcp", "0", "xcp-a"]] {
        site.start().ok();
        let pid = site.pid();
        assert_eq!(site.stop(args).ok(), "");
        eventually("it ends", || !is_alive(pid));
    }
    assert_eq!(site.stop(&["xcp"]).ok(), "", "there is none");
}

#[test]
fn a_number_that_another_process_has_now_harms_nobody() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    site.write("state/monitor-0.pid", &format!("{} {}", stranger.id(), site.control().display()));
    site.stop(&["xcp"]).ok();
    site.start().ok();
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn it_is_on_its_own() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    // Whoever reads these to the end would wait for the client if it had one of them.
    let mut command = site.command("bash");
    command.args(["-c", r#"exec 7>&1 12>&1 13>&2; exec "$@""#, "bash"]);
    command.arg(site.control()).args(["xcp", "0", "xcp-a"]);
    said(&mut command, &site.configuration()).ok();
    let process = Path::new("/proc").join(site.pid().to_string());
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    for descriptor in ["0", "1", "2"] {
        assert_eq!(fs::read_link(process.join("fd").join(descriptor)).unwrap(), Path::new("/dev/null"));
    }
    let open: Vec<_> = fs::read_dir(process.join("fd")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let opened =
        open.iter().filter_map(|path| fs::read_link(path).ok()).map(|path| path.display().to_string());
    assert!(opened.clone().all(|path| !path.starts_with("pipe:")), "{:?}", opened.collect::<Vec<_>>());
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, site.pid().to_string());
}

#[test]
fn a_host_that_cannot_be_asked_is_one_line() {
    let site = Site::new(1);
    site.write("records/fails", REFUSED);
    let line = site.start().failure();
    assert!(line.contains("Connection refused"), "{line}");
    let site = Site::new(1);
    let line =
        said(site.command(site.control()).args(["xcp", "0", "xcp-z"]), &site.configuration()).failure();
    assert!(line.contains("no host of the pool goes by the name \"xcp-z\""), "{line}");
}

#[test]
fn xapi_may_be_away_for_a_while() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    site.start().ok();
    site.write("records/fails", REFUSED);
    eventually("it notices", || site.log().contains("STATE_VM: xe "));
    fs::remove_file(site.path("records/fails")).unwrap();
    let before = monitord.count();
    site.vms(&[halted(1)]);
    monitord.wait_for("STATE_VM", &state(1, "POWEROFF"), before);
    assert!(monitord.got().iter().all(|got| got.success), "{:?}", monitord.got());
}

#[test]
fn a_host_that_keeps_failing_is_told_and_so_is_that_it_works_again() {
    let monitord = Monitord::new();
    let mut site = Site::new(monitord.port);
    site.system_host = "1";
    site.start().ok();
    monitord.wait_for("MONITOR_HOST", "", 0);
    site.write("records/fails", "Error: The database is on fire\n");
    let got = monitord.wait_for("SYSTEM_HOST", "database is on fire", 0);
    // Meanwhile it was given another name.
    let renamed = fs::read_to_string(site.path("records/host-list")).unwrap().replace("xcp-a", "rack-7");
    site.write("records/host-list", &renamed.replace("192.0.2.1", "192.0.2.7"));
    assert!(!got.success && got.text.lines().count() == 1, "{got:?}");
    let before = monitord.count();
    fs::remove_file(site.path("records/fails")).unwrap();
    assert!(monitord.wait_for("SYSTEM_HOST", "HOSTNAME=\"rack-7\"", before).success);
    let others_failed = monitord.got().iter().any(|got| !got.success && got.kind != "SYSTEM_HOST");
    assert!(!others_failed, "{:?}", monitord.got());
}

#[test]
fn in_dom0_a_new_client_knows_its_host_by_the_inventory_and_not_by_names() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1), Vm { resident_on: OTHER_HOST, ..running(2) }]);
    let inventory = |uuid: &str| {
        site.write(
            "inventory",
            &format!("PRODUCT_BRAND='XCP-ng'\nINSTALLATION_UUID='{uuid}'\nMANAGEMENT_INTERFACE='xenbr0'\n"),
        );
    };
    let started = || said(site.command(site.control()).args(["xcp", "0", "xcp-a"]), &site.configuration());
    let own = fs::read_to_string(site.path("records/host-list")).unwrap();
    let renamed = own.replace("xcp-a", "rack-7").replace("192.0.2.1", "192.0.2.7");
    site.write("records/host-list", &renamed);
    assert!(started().failure().contains("no host of the pool goes by the name \"xcp-a\""));
    inventory(HOST);
    for others in ["", &own.replace(HOST, OTHER_HOST).replace("192.0.2.1", "192.0.2.2")] {
        // The second time another host has the name that it had.
        site.write("records/host-list", &format!("{renamed}{others}"));
        let document = started().ok();
        assert!(part(&document, "SYSTEM_HOST").contains("HOSTNAME=\"rack-7\""), "{document}");
        let states = "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned() + &state(1, "RUNNING");
        assert_eq!(part(&document, "STATE_VM"), states);
    }
    // The client that stays goes by it too.
    let before = monitord.count();
    site.vms(&[halted(1), Vm { resident_on: OTHER_HOST, ..running(2) }]);
    assert_eq!(monitord.wait_for("STATE_VM", "VM = ", before).text, state(1, "POWEROFF"));
    // An inventory of another pool's host says nothing.
    inventory("aaaaaaaa-0000-4000-8000-000000000009");
    site.write("records/host-list", &own);
    started().ok();
}

#[test]
fn what_xapi_has_not_measured_yet_is_left_out() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.write("records/host-data-source-query", "nan\n");
    let text = part(&site.start().ok(), "MONITOR_HOST");
    assert_eq!(text, "USEDMEMORY=8388608\nFREEMEMORY=8388608\n");
    // Of eight CPUs a little more than all.
    site.write("records/host-data-source-query", "1.001\n");
    assert!(part(&site.start().ok(), "MONITOR_HOST").contains("USEDCPU=800\nFREECPU=0\n"));
}

#[test]
fn what_went_while_there_was_no_client_is_not_told_to_run() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1), running(2)]);
    site.start().ok();
    site.stop(&["xcp", "0"]).ok();
    site.vms(&[running(2)]);
    let all = part(&site.start().ok(), "STATE_VM");
    let told = state(1, "POWEROFF") + &state(2, "RUNNING");
    assert_eq!(all, "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned() + &told);
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    // What a client has left that saw the clock set back: onemonitord passes over what is older than its last.
    site.write("state/monitor-0.time", "4000000000");
    let document = site.start().ok();
    assert!(document.contains("<TIMESTAMP>4000000000</TIMESTAMP>"), "{document}");
    assert_eq!(monitord.wait_for("MONITOR_HOST", "", 0).time, 4_000_000_000);
}

#[test]
fn a_signal_asks_for_the_host_at_once() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.start().ok();
    let pid = rustix::process::Pid::from_raw(i32::try_from(site.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    monitord.wait_for("SYSTEM_HOST", "TOTALCPU=800\n", 0);
}

#[test]
fn it_ends_when_its_file_is_taken() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.start().ok();
    let pid = site.pid();
    fs::remove_file(site.path("state/monitor-0.pid")).unwrap();
    eventually("it ends", || !is_alive(pid));
    assert!(site.log().contains("another client has taken over"), "{}", site.log());
}

#[test]
fn up_to_6_10_an_imported_vm_is_told_by_its_deploy_id() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    fs::write(site.path("remotes/VERSION"), "6.10.5\n").unwrap();
    let mine = |power_state: &'static str| {
        site.vms(&[Vm { power_state, ..running(1) }]);
        let text = fs::read_to_string(site.path("records/vm-list")).unwrap();
        site.write("records/vm-list", &text.replace("one_vm_uuid", "theirs"));
    };
    mine("running");
    let all = part(&site.start().ok(), "STATE_VM");
    let line = |word: &str| state(1, word).replace("ID=\"1\"", "ID=\"-1\"");
    assert_eq!(all, "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned() + &line("RUNNING"));
    let before = monitord.count();
    mine("paused");
    assert_eq!(monitord.wait_for("STATE_VM", "SUSPENDED", before).text, line("SUSPENDED"));
}

#[test]
fn forged_text_makes_no_record() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    let forged = format!(
        "; note: x\nuuid ( RO): {}\n    power-state ( RO): halted\n    name-label ( RW): \" ]\nVM = [ ID=\"9\", STATE=\"FAILURE\" ]\n",
        uuid(9)
    );
    site.vm_with(&running(1), &forged);
    let document = site.start().ok();
    assert_eq!(
        part(&document, "STATE_VM"),
        "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned() + &state(1, "RUNNING")
    );
    let monitor = part(&document, "MONITOR_VM");
    assert!(monitor.starts_with("VM = [ ID=\"1\"") && monitor.lines().count() == 1, "{monitor}");
    assert!(part(&document, "SYSTEM_HOST").contains("MODELNAME=\"A CPU\"\n"));
    // Where no value can pass for two it may be asked.
    let records = |call: &&String| call.starts_with("vm-list") && !call.contains("minimal=true");
    for call in site.calls().iter().filter(records) {
        assert!(!call.contains("name-label") && !call.contains("networks"), "{call}");
    }
}

#[test]
fn a_copy_of_a_vm_is_not_that_vm() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    let copied = fs::read_to_string(site.path("records/vm-list")).unwrap().replacen(&uuid(1), &uuid(7), 1);
    site.write("records/vm-list", &copied);
    let document = site.start().ok();
    assert!(!part(&document, "STATE_VM").contains("VM ="));
    assert_eq!(part(&document, "MONITOR_VM"), "");
}

#[test]
fn probes_of_others_speak_too_and_none_silences_another() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    let probes = "remotes/im/xcp-probes.d";
    site.executable(
        &format!("{probes}/host/system/rack"),
        "#!/bin/sh\ncat > \"$TMPDIR/stdin\"\nprintf 'RACK=\"%s\"' \"$*\"\n",
    );
    site.executable(&format!("{probes}/host/system/broken"), "#!/bin/sh\necho no sensor >&2\nexit 3\n");
    site.executable(&format!("{probes}/host/system/xcp-system"), "#!/bin/sh\necho OURS=twice\n");
    site.executable(
        &format!("{probes}/vm/execution/agent"),
        "#!/bin/sh\necho 'VM = [ ID=\"1\", STATUS=\"DONE\" ]'\n",
    );
    fs::write(site.path(&format!("{probes}/host/system/README")), "not a program").unwrap();
    let text = part(&site.start().ok(), "SYSTEM_HOST");
    assert!(text.contains("HYPERVISOR=\"xcp\"\n") && text.ends_with("RACK=\"xcp 0 xcp-a\"\n"), "{text}");
    assert!(!text.contains("OURS"), "{text}");
    assert!(site.log().contains("no sensor"), "{}", site.log());
    assert_eq!(fs::read(site.path("tmp/stdin")).unwrap(), site.configuration());
    monitord.wait_for("EXEC_VM", "STATUS=\"DONE\"", 0);
}

#[test]
fn a_probe_of_others_that_waits_holds_up_no_other_kind_in_the_first_round() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    // Each waits for the other: one after the other neither would ever be done.
    let waits = |own: &str, other: &str| {
        format!(
            "#!/bin/sh\n: > \"$TMPDIR/{own}\"\nfor i in $(seq 100); do\n\
             [ -e \"$TMPDIR/{other}\" ] && echo \"MET=\\\"{other}\\\"\" && exit\nsleep 0.2\ndone\nexit 1\n"
        )
    };
    let probes = "remotes/im/xcp-probes.d";
    site.executable(&format!("{probes}/host/monitor/waits"), &waits("host", "vm"));
    site.executable(&format!("{probes}/vm/monitor/waits"), &waits("vm", "host"));
    let answer = site.start().ok();
    for (kind, met) in [("MONITOR_HOST", "MET=\"vm\""), ("MONITOR_VM", "MET=\"host\"")] {
        let text = part(&answer, kind);
        assert!(text.contains(met), "{kind}: {text}{}", site.log());
    }
}

#[test]
fn a_probe_of_others_that_hangs_holds_up_no_state() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    site.start().ok();
    let probes = "remotes/im/xcp-probes.d/vm/status";
    let agent = "#!/bin/sh\necho 'VM = [ ID=\"8\", STATE=\"RUNNING\" ]'\n";
    site.executable(&format!("{probes}/agent"), agent);
    assert!(monitord.wait_for("STATE_VM", "ID=\"8\"", 0).by_tcp);
    // For longer than this test waits for anything.
    site.executable(&format!("{probes}/hangs"), "#!/bin/sh\necho begun > \"$TMPDIR/hangs\"\nsleep 25\n");
    eventually("it hangs", || site.path("tmp/hangs").exists());
    site.vms(&[halted(1)]);
    monitord.wait_for("STATE_VM", &state(1, "POWEROFF"), 0);
}

#[test]
fn a_round_costs_few_calls() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    let vms: Vec<Vm<'_>> = (1..200).map(running).collect();
    site.vms(&vms);
    metrics::serve(&site.path("xapi"));
    site.start().ok();
    // Which host it is, the host, its pool, two for SRs and who else is on it, its use twice, states, and three
    // for what VMs use.
    assert_eq!(site.calls().len(), 12, "{:#?}", site.calls());
    fs::remove_file(site.path("records/calls")).unwrap();
    let of = |part: &str| site.calls().iter().filter(|call| call.contains(part)).count();
    eventually("four rounds of MONITOR_VM", || of("memory-actual") > 4);
    site.stop(&["xcp", "0"]).ok();
    let rounds = of("memory-actual");
    let more = of("minimal=true") + of("vbd-list") + of("vdi-list");
    assert!(more <= 2 * rounds && more > rounds, "{more} in {rounds} rounds: {:#?}", site.calls());
    assert_eq!(of("vm-list"), rounds + of("minimal=true") + of("current-operations"), "{:#?}", site.calls());
}
