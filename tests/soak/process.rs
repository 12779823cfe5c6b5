//! What a process and its files need.

use std::fmt;
use std::fs;
use std::path::Path;

#[derive(Clone, Debug)]
pub struct Sample {
    memory_kib: u64,
    descriptors: u64,
    threads: u64,
    files: u64,
    files_kib: u64,
}

/// A figure's name, how to get it, and by how much it may vary.
pub type Figure = (&'static str, fn(&Sample) -> u64, u64);

impl Sample {
    /// Descriptors and threads come and go with each call of `xe`, a file is on its way to its name.
    pub const FIGURES: [Figure; 5] = [
        ("memory (KiB)", |sample| sample.memory_kib, 256),
        ("the number of descriptors", |sample| sample.descriptors, 10),
        ("the number of threads", |sample| sample.threads, 10),
        ("the number of files", |sample| sample.files, 2),
        ("the files (KiB)", |sample| sample.files_kib, 256),
    ];

    /// Looks at a process, and at the files of this prefix in a folder.
    pub fn take(pid: u32, folder: &Path, prefix: &str) -> Sample {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let mut files = (0, 0);
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                // It may be a new file on its way to its name.
                let length = entry.metadata().map_or(0, |file| file.len());
                files = (files.0 + 1, files.1 + length.div_ceil(1024));
            }
        }
        // Of several looks the quietest: what is open between two calls.
        let open = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
        Sample {
            memory_kib: field("RssAnon:"),
            descriptors: (0..20).map(|_| open()).min().unwrap(),
            threads: field("Threads:"),
            files: files.0,
            files_kib: files.1,
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6} KiB {:>3} descriptors {:>3} threads {:>3} files of {:>4} KiB",
            self.memory_kib, self.descriptors, self.threads, self.files, self.files_kib
        )
    }
}
