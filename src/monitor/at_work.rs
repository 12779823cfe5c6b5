//! Whether one of OpenNebula's actions is at work on a VM.

use crate::links::PROGRAM;
use crate::xe::Uuid;
use std::fs;
use std::path::Path;

/// Whether our program runs somewhere on this machine with the VM's DEPLOY_ID as an argument.
pub fn is_at_work(deploy_id: &Uuid) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let deploy_id = deploy_id.to_string();
    processes.flatten().any(|process| is_action_on(&process.path(), deploy_id.as_bytes()))
}

/// An upgrade may have replaced the program meanwhile: its name then has ` (deleted)` after it.
fn is_action_on(process: &Path, deploy_id: &[u8]) -> bool {
    let names = |line: Vec<u8>| line.split(|byte| *byte == 0).any(|word| word == deploy_id);
    let is_ours = |program: &Path| {
        program.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PROGRAM))
    };
    fs::read_link(process.join("exe")).is_ok_and(|program| is_ours(&program))
        && fs::read(process.join("cmdline")).is_ok_and(names)
}
