//! An exported VHD stream back into an image file, all or nothing.

use super::big_endian::count;
use super::detect::Format;
use super::qcow2_write::Qcow2Sink;
use super::sink::{RUN_BYTES, RawSink, Sink, runs};
use super::vhd_file::VhdSink;
use super::vhd_stream::VhdStream;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Gid, Uid, fchown, fstatvfs};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of an image that was not there before, less the umask.
const NEW_MODE: u32 = 0o660;
/// At the end of the name of a file that is being written.
const RANDOM_CHARS: usize = 6;

/// Reads what `xe vdi-export format=vhd` prints, to its end, and replaces the image at `path`, or the one that
/// the link there leads to. Owner and mode stay; the file is sparse; `vhd` is a dynamic one, whatever it was.
///
/// The VDI may be larger than the image it was made of, rounded up by its storage: `expected_virtual_size`
/// brings the file back to the image's own size in bytes, unless the guest has written past it, when nothing
/// is cut off. An image that has been made larger than its VDI stays so, with zeros at its end.
///
/// On any error the old file is as it was, and nothing else is left: the new one is made beside it and takes
/// its place when complete and on disk.
pub fn vhd_to_file(
    reader: &mut impl Read,
    path: &Path,
    format: Format,
    expected_virtual_size: Option<u64>,
) -> Result<()> {
    replace(reader, path, format, expected_virtual_size)
        .with_context(|| format!("cannot write image {}", path.display()))
}

fn replace(reader: &mut impl Read, path: &Path, format: Format, expected: Option<u64>) -> Result<()> {
    let (target, old) = resolve(path)?;
    let directory = target.parent().context("it has no directory")?;
    let name = target.file_name().context("it has no file name")?;
    // Hidden: one that a killed process leaves must not pass for a disk.N.
    let prefix = [OsStr::new("."), name, OsStr::new(".")].join(OsStr::new(""));
    let mut stream = VhdStream::open(reader)?;
    remove_left(directory, &prefix);
    check_space(directory, stream.allocated_bytes())?;

    let mode = old.as_ref().map_or(NEW_MODE, Metadata::mode) & 0o7777;
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM_CHARS)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .with_context(|| format!("cannot create a file in {}", directory.display()))?;
    let file = temporary.as_file();
    if let Some(old) = old {
        keep_owner(file, &old)?;
    }
    copy(&mut stream, file, format, expected)?;
    file.sync_all().context("cannot bring it to disk")?;
    temporary.persist(&target).context("cannot put it in its place")?;
    // Makes the renaming last, too; some file systems cannot.
    _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// The file itself, links followed, and what it was so far.
fn resolve(path: &Path) -> Result<(PathBuf, Option<Metadata>)> {
    match fs::canonicalize(path) {
        Ok(target) => {
            let old = fs::metadata(&target)?;
            ensure!(old.is_file(), "it is not a file");
            Ok((target, Some(old)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            ensure!(!path.is_symlink(), "it is a link to nowhere");
            let name = path.file_name().context("it has no file name")?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = fs::canonicalize(directory.unwrap_or(Path::new(".")))?;
            Ok((directory.join(name), None))
        }
        Err(error) => bail!(error),
    }
}

/// What a killed process has left of an earlier try would fill the host's small disk: the VM's other actions wait
/// for this one, so nobody is writing it.
fn remove_left(directory: &Path, prefix: &OsStr) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let is_ours = random.is_some_and(|random| {
            random.len() == RANDOM_CHARS && random.iter().all(u8::is_ascii_alphanumeric)
        });
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            _ = fs::remove_file(entry.path());
        }
    }
}

fn check_space(directory: &Path, needed: u64) -> Result<()> {
    let space = fstatvfs(File::open(directory)?).context("cannot ask for free space")?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let place = directory.display();
    ensure!(free >= needed, "{needed} bytes are needed in {place}, which has {free} free");
    Ok(())
}

fn copy<R: Read>(
    stream: &mut VhdStream<R>,
    file: &File,
    format: Format,
    expected: Option<u64>,
) -> Result<()> {
    let size = stream.virtual_size_bytes();
    let largest = size.max(expected.unwrap_or(0).next_multiple_of(super::SECTOR_BYTES));
    let mut sink: Box<dyn Sink> = match format {
        Format::Raw | Format::Iso => Box::new(RawSink(file)),
        Format::Vhd => Box::new(VhdSink::new(file, largest)),
        Format::Qcow2 => Box::new(Qcow2Sink::new(file, largest)),
    };
    let expected = expected.map_or(size, |expected| match format {
        Format::Raw | Format::Iso => expected,
        Format::Vhd | Format::Qcow2 => expected.next_multiple_of(super::SECTOR_BYTES),
    });
    let mut data_end = 0;
    while let Some((offset, data)) = stream.next_block()? {
        sink.put(offset, data)?;
        if offset + count(data.len()) > expected {
            data_end = data_end.max(end_of_data(offset, data));
        }
    }
    sink.finish(if data_end > expected { size } else { expected })
}

/// Where the last byte that is not zero ends.
fn end_of_data(offset: u64, data: &[u8]) -> u64 {
    let Some((start, run)) = runs(offset, data).last() else { return 0 };
    start + count(run.iter().rposition(|&byte| byte != 0).map_or(RUN_BYTES, |last| last + 1))
}

fn keep_owner(file: &File, old: &Metadata) -> Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))
            .with_context(|| format!("cannot give it to its owner {}:{}", old.uid(), old.gid()))?;
    }
    // After the owner: a change of owner clears set-id bits, and the umask applied when it was made.
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777)).context("cannot set its mode")
}
