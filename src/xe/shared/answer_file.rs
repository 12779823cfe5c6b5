//! An answer in a file: `BEGUN LENGTH OUTCOME`, the question, the answer. What a killed program had begun to write
//! is seen to be incomplete.

use crate::report::Result;
use crate::xe::XeError;
use anyhow::{Context, ensure};
use rustix::fs::{Mode, OFlags};
use rustix::process::getuid;
use std::fs::{self, DirBuilder, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An answer serves who asks while it is on its way, or so soon after that was begun.
const FRESH: Duration = Duration::from_millis(500);

/// Opens the file of this name, in a folder of this user's own.
pub fn open(folder: &Path, name: &str) -> Result<File> {
    private_folder(folder)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(File::from(rustix::fs::open(folder.join(name), flags, Mode::RUSR | Mode::WUSR)?))
}

/// A folder that nobody else can write to, or even look into.
fn private_folder(folder: &Path) -> Result<()> {
    _ = DirBuilder::new().mode(0o700).create(folder);
    let found = fs::symlink_metadata(folder).with_context(|| folder.display().to_string())?;
    let is_private = found.is_dir() && found.uid() == getuid().as_raw() && found.mode() & 0o777 == 0o700;
    ensure!(is_private, "{} is not this user's alone", folder.display());
    Ok(())
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Writes an answer that was asked for at `begun`.
pub fn write(
    file: &mut File,
    key: &str,
    begun: u64,
    answer: std::result::Result<&str, &XeError>,
) -> std::io::Result<()> {
    let (outcome, text) = match answer {
        Ok(text) => ("ok", text.to_owned()),
        Err(XeError { code, words, .. }) => {
            ("failed", format!("{}\n{words}", code.as_deref().unwrap_or_default()))
        }
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{begun} {} {outcome}\n{key}\n{text}", text.len()).as_bytes())
}

/// What is there, if it is whole, answers this very question, and was asked for when it was `wanted` or only
/// just before. None that claims to be of the future: the clock was set back.
pub fn read(file: &mut File, key: &str, wanted: u64) -> Option<std::result::Result<String, XeError>> {
    let mut all = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut all).ok()?;
    let (head, rest) = all.split_once('\n')?;
    let mut words = head.split(' ');
    let begun: u64 = words.next()?.parse().ok()?;
    let length: usize = words.next()?.parse().ok()?;
    let outcome = words.next()?;
    let text = rest.strip_prefix(key)?.strip_prefix('\n')?;
    let is_fresh = u128::from(begun) + FRESH.as_millis() >= u128::from(wanted) && begun <= now();
    if text.len() != length || !is_fresh {
        return None;
    }
    if outcome == "ok" {
        return Some(Ok(text.to_owned()));
    }
    let (code, words) = text.split_once('\n')?;
    let code = Some(code.to_owned()).filter(|code| !code.is_empty());
    Some(Err(XeError { code, params: Vec::new(), words: words.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_half_written_or_of_the_future_is_asked_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = open(&dir.path().join("shared"), "answer").unwrap();
        let key = "pool xe vm-list";
        let told = |file: &mut File| read(file, key, now()).is_some();
        write(&mut file, key, now(), Ok("whole")).unwrap();
        assert!(told(&mut file));
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        assert!(!told(&mut file));
        write(&mut file, key, now() - 5000, Ok("whole")).unwrap();
        assert!(!told(&mut file));
        // Begun when it was wanted, and long under way.
        assert!(read(&mut file, key, now() - 5000).is_some());
        write(&mut file, key, now() + 60_000, Ok("whole")).unwrap();
        assert!(!told(&mut file));
        write(&mut file, "another key", now(), Ok("whole")).unwrap();
        assert!(!told(&mut file));
    }
}
