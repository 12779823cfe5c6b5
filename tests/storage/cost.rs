//! What an import costs: memory and bytes read.

use crate::common::sparse_file;
use crate::site::Site;
use std::fs;

const MB: u64 = 1 << 20;

/// As xe; at the end of an import it keeps what the driver, its parent, has used so far.
const XE: &str = "#!/bin/sh\n\"$(dirname \"$0\")/xe.d/xe\" \"$@\"; code=$?\n\
    case \"$*\" in *vdi-import*) cat /proc/$PPID/io /proc/$PPID/status >\"$TMPDIR/used\" ;; esac\nexit $code\n";

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_raw_file_of_1_gb_is_read_once_and_never_in_memory() {
    let site = Site::new();
    fs::create_dir(site.host.path("bin/xe.d")).unwrap();
    fs::rename(site.host.path("bin/xe"), site.host.path("bin/xe.d/xe")).unwrap();
    site.program("bin/xe", XE);
    let data = vec![0xa5; 64 * usize::try_from(MB).unwrap()];
    sparse_file(&site.host.path("disk.raw"), 1024 * MB, &[(0, &data), (900 * MB, &data)]);
    site.cp("disk.raw", 1024).ok();
    let used = fs::read_to_string(site.host.path("used")).unwrap();
    let peak_kb = number(&used, "VmHWM:");
    assert!(peak_kb < 64 << 10, "{peak_kb} KB");
    let read = number(&used, "rchar:");
    assert!((128 * MB..130 * MB).contains(&read), "{read} bytes of {} with data", 128 * MB);
}
