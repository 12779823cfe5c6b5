//! What `poll` costs beside the `xe` it waits for: CPU time a call, and the peak of its memory.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const VM: &str = "00000000-0000-4000-8000-000000000001";

/// What `xe` answers, given by a script that does nothing else.
const ANSWER: &str = "#!/bin/sh
grep VmHWM /proc/$PPID/status >peak
cat <<'TEXT'
uuid ( RO)             : 00000000-0000-4000-8000-000000000001
       power-state ( RO): running
         snapshots ( RO): 
       resident-on ( RO): 00000000-0000-4000-9000-000000000001
      other-config (MRW): one_vm_uuid: 00000000-0000-4000-8000-000000000001; one_vm_id: 1
     memory-actual ( RO): 536870912


TEXT
";

/// CPU time of all children that have ended, theirs included, in milliseconds (proc(5): `cutime` and `cstime`
/// in ticks of 10 ms).
fn children_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap()) * 10
}

/// CPU time of one run, in microseconds, over so many.
fn cost_us(runs: u64, command: &mut Command) -> u64 {
    let before = children_ms();
    for _ in 0..runs {
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
    }
    (children_ms() - before) * 1000 / runs
}

fn main() {
    let runs = if std::env::args().any(|arg| arg == "--quick") { 100 } else { 1000 };
    let dir = tempfile::tempdir().unwrap();
    let xe = dir.path().join("xe");
    fs::write(&xe, ANSWER).unwrap();
    fs::set_permissions(&xe, fs::Permissions::from_mode(0o755)).unwrap();
    let in_dir = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(dir.path()).env("XE", &xe);
        command
    };
    let script_us = cost_us(runs, &mut in_dir(&xe));
    let both_us = cost_us(runs, in_dir(Path::new(env!("CARGO_BIN_EXE_one-xcp"))).args(["poll", VM]));
    println!("poll without its xe: {} us of CPU a call", both_us.saturating_sub(script_us));
    let peak = fs::read_to_string(dir.path().join("peak")).unwrap();
    let peak_kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("peak of its memory: {peak_kib} KiB");
    assert!(peak_kib < 8 << 10, "poll needs more than 8 MB");
}
