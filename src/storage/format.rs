//! What an empty disk begins with: nothing, swap space, or a file system.

use super::staging::Staged;
use crate::image::{Format, Image};
use crate::one::DatastoreConf;
use crate::process;
use crate::report::{self, Result};
use anyhow::{Context, ensure};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// FS of a swap disk.
pub const SWAP: &str = "swap";
const PAGE_BYTES: u64 = 4096;

/// A disk of this size with what `fs` says in it, as a sparse file in `folder` that goes with it; none for an empty
/// one.
///
/// `conf` tells which file systems there may be and how they are made (`SUPPORTED_FS`, `FS_OPTS_ext4` and the like).
pub fn formatted(
    folder: &Path,
    size_bytes: u64,
    fs: &str,
    conf: &DatastoreConf,
    limit: Duration,
) -> Result<Option<Image>> {
    if fs.is_empty() {
        return Ok(None);
    }
    ensure!(fs.chars().all(|c| c.is_ascii_alphanumeric()), "there is no file system {fs:?}");
    if let (true, Some(supported)) = (fs != SWAP, conf.get("SUPPORTED_FS")) {
        let is_supported = supported.split(',').any(|one| one.trim() == fs);
        ensure!(is_supported, "SUPPORTED_FS in datastore.conf is {supported}: there is no {fs} among them");
    }
    let staged = Staged::new(folder, limit)?;
    staged.file().set_len(size_bytes)?;
    if fs == SWAP {
        write_swap_header(staged.file(), size_bytes)?;
    } else {
        let options = conf.get(&format!("FS_OPTS_{fs}")).unwrap_or_default();
        make_file_system(&staged.path(), fs, options, limit)?;
    }
    Image::open_as(&staged.path(), Format::Raw).map(Some)
}

/// As `mkswap -L swap` writes it (Linux include/linux/swap.h), which OpenNebula's scripts call: version, last page,
/// uuid, label, signature.
fn write_swap_header(file: &File, size_bytes: u64) -> Result<()> {
    let last_page = u32::try_from(size_bytes / PAGE_BYTES - 1).context("swap space of more than 16 TB")?;
    file.write_all_at(&1u32.to_le_bytes(), 1024)?;
    file.write_all_at(&last_page.to_le_bytes(), 1028)?;
    let mut uuid = [0; 16];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut uuid)).context("/dev/urandom")?;
    file.write_all_at(&uuid, 1036)?;
    file.write_all_at(b"swap", 1052)?;
    file.write_all_at(b"SWAPSPACE2", PAGE_BYTES - 10)?;
    Ok(())
}

fn make_file_system(file: &Path, fs: &str, options: &str, limit: Duration) -> Result<()> {
    let force: &[&str] = match fs {
        "ext2" | "ext3" | "ext4" => &["-F", "-q"],
        "xfs" | "btrfs" => &["-f", "-q"],
        _ => &[],
    };
    // oneadmin's PATH may lack these.
    let program =
        ["/sbin", "/usr/sbin", "/bin", "/usr/bin"].map(|dir| Path::new(dir).join(format!("mkfs.{fs}")));
    let program = program.iter().find(|program| program.is_file());
    let program = program.with_context(|| format!("there is no mkfs.{fs} on this machine"))?;
    let said =
        process::output(Command::new(program).args(force).args(options.split_whitespace()).arg(file), limit)?;
    let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
    ensure!(said.status.success(), "cannot make a file system: {}: {complaint}", program.display());
    Ok(())
}
