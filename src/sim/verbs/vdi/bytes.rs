//! What VDIs hold, from a file or pipe and into one (xapi `import_raw_vdi.ml`, `export_raw_vdi.ml`; the
//! files are the client's, `xe-cli/newcli.ml`).

use crate::sim::call::{Call, changing};
use crate::sim::disk_bytes::{export_raw, export_vhd, import_raw, import_vhd};
use crate::sim::refuse::{Fail, Outcome, internal, refused};
use crate::sim::row::Class;
use crate::sim::storage;
use crate::sim::store::Store;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// A format of disk images.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Raw,
    Vhd,
}

fn format(call: &Call) -> Outcome<Format> {
    match call.command.get("format") {
        None | Some("raw") => Ok(Format::Raw),
        Some("vhd") => Ok(Format::Vhd),
        Some(other) => Err(internal(format!("Unknown format {other}"))),
    }
}

fn failed(what: impl std::fmt::Display) -> Fail {
    Fail::Client(format!("Operation failed. Error: {what}\n"))
}

/// The VDI's file and size.
fn disk(store: &Store, call: &Call) -> Outcome<(String, PathBuf, u64)> {
    let pool = store.read()?;
    let row = pool.get(Class::Vdi, call.command.need("uuid")?)?;
    let size = u64::try_from(row.number("virtual-size")).unwrap_or(0);
    Ok((row.uuid.to_string(), store.vdi_file(&row.uuid), size))
}

/// `vdi-import`: the pool stays free while the bytes come in.
pub fn import(store: &Store, call: &mut Call) -> Outcome<()> {
    let (uuid, path, size) = disk(store, call)?;
    let filename = call.command.need("filename")?;
    let mut source = match File::open(filename) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(failed(format!("file '{filename}' does not exist")));
        }
        source => source.map_err(failed)?,
    };
    let format = format(call)?;
    {
        let pool = store.read()?;
        storage::check_has_data(&pool, &uuid)?;
        storage::check_unused(&pool, &uuid, "import", false)?;
        if pool.get(Class::Vdi, &uuid)?.is("read-only") {
            return Err(refused("VDI_READONLY", vec![pool.param(Class::Vdi, &uuid)]));
        }
    }
    let filled = match format {
        Format::Raw => import_raw(&mut source, &path, size),
        Format::Vhd => import_vhd(&mut source, &path, size),
    };
    filled
        .map_err(|error| refused("VDI_IO_ERROR", vec![crate::sim::refuse::Param::text(error.to_string())]))?;
    changing(store, call, |pool, _| {
        storage::check_written(pool, &uuid)?;
        pool.edit(Class::Vdi, &uuid).map(|_| ())
    })
}

/// `vdi-export`: into a file that is not there yet, or to standard output if no name is given.
pub fn export(store: &Store, call: &mut Call) -> Outcome<()> {
    let (uuid, path, size) = disk(store, call)?;
    let filename = call.command.need("filename")?;
    let format = format(call)?;
    let pool = store.read()?;
    storage::check_has_data(&pool, &uuid)?;
    storage::check_unused(&pool, &uuid, "export", true)?;
    if !path.exists() {
        File::create(&path).and_then(|file| file.set_len(size)).map_err(failed)?;
    }
    let write = |mut target: &mut dyn Write| match format {
        Format::Raw => export_raw(&path, &mut target),
        Format::Vhd => export_vhd(&path, size, &uuid, &mut target),
    };
    if filename.is_empty() {
        let Some(how) = call.out.spoilt else {
            return write(&mut io::stdout().lock()).map_err(failed);
        };
        let mut whole = Vec::new();
        write(&mut whole).map_err(failed)?;
        let arrives = whole.get(..how.bytes(whole.len())).unwrap_or_default();
        return io::stdout().lock().write_all(arrives).map_err(failed);
    }
    let mut target = match OpenOptions::new().write(true).create_new(true).open(filename) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(failed(format!("Sys_error({:?})", format!("{filename}: File exists"))));
        }
        target => target.map_err(failed)?,
    };
    write(&mut target).map_err(failed)
}
