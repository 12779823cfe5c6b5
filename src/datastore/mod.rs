//! Images on an SR: one file for each script of `datastore/xcp`, under that script's name.

mod clone;
mod cp;
mod export;
mod mkfs;
mod monitor;
mod rm;
mod snap_delete;
mod snap_flatten;
mod snap_revert;
mod stat;

use crate::action::Caller;
use crate::one::{Conf, DatastoreRequest};
use crate::report::Result;
use crate::storage::bridge;
use crate::xe::{Uuid, Xe, sr};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Scripts of OpenNebula's that manage the images of a datastore on an SR.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// cp, mkfs, clone, rm, stat, monitor, export, snap_delete, snap_revert or snap_flatten
    #[arg(value_parser = SCRIPTS)]
    script: String,
    /// The image's id (of monitor the datastore's); the message comes on standard input, or before the id
    #[arg(allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The scripts, as OpenNebula calls them.
pub const SCRIPTS: [&str; 10] =
    ["clone", "cp", "export", "mkfs", "monitor", "rm", "snap_delete", "snap_flatten", "snap_revert", "stat"];

/// Runs the script; gives back its name for errors.
pub fn run(caller: &Caller, args: &Args) -> (String, Result<String>) {
    let result = Call::begin(caller, &args.words).and_then(|call| match args.script.as_str() {
        "clone" => clone::run(&call),
        "cp" => cp::run(&call),
        "export" => export::run(&call),
        "mkfs" => mkfs::run(&call),
        "rm" => rm::run(&call),
        "snap_delete" => snap_delete::run(&call),
        "snap_flatten" => snap_flatten::run(&call),
        "snap_revert" => snap_revert::run(&call),
        "stat" => stat::run(&call),
        _ => monitor::run(&call),
    });
    (format!("datastore {}", args.script), result)
}

/// `monitor`, which is the same for system datastores.
pub fn monitor(caller: &Caller, words: &[String]) -> Result<String> {
    monitor::run(&Call::begin(caller, words)?)
}

/// One call: what was asked, and whom to ask in turn.
struct Call {
    request: DatastoreRequest,
    conf: Conf,
    xe: Xe,
    called_as: PathBuf,
}

impl Call {
    fn begin(caller: &Caller, words: &[String]) -> Result<Call> {
        let request = DatastoreRequest::read(words)?;
        let conf = caller.conf()?;
        let host = bridge::answering(&conf, &request.bridges())?;
        let mut xe = caller.xe(&conf, host)?;
        bridge::set(&mut xe, &conf, host)?;
        Ok(Call { request, conf, xe, called_as: caller.called_as.clone() })
    }

    /// The name or uuid of the datastore's SR: XCP_SR, else DEFAULT_SR, else none: the pool's default.
    fn sr_name(&self) -> Option<&str> {
        let own = self.request.setting("XCP_SR");
        Some(own).filter(|name| !name.is_empty()).or_else(|| self.conf.optional("DEFAULT_SR"))
    }

    fn sr(&self) -> Result<Uuid> {
        match self.sr_name() {
            Some(name) => sr::named(&self.xe, name).context("XCP_SR"),
            None => {
                sr::pool_default(&self.xe)?.context("the datastore has no XCP_SR, and the pool no default SR")
            }
        }
    }

    /// The uuid that OpenNebula keeps of the image: its SOURCE.
    fn key(&self) -> Result<Uuid> {
        self.request.image.need("SOURCE")
    }

    /// The snapshot that is meant: TARGET_SNAPSHOT.
    fn snapshot_id(&self) -> Result<u32> {
        self.request.image.need("TARGET_SNAPSHOT")
    }

    /// A file of OpenNebula's beside our folder, `remotes/datastore/NAME`; none by hand.
    fn beside(&self, name: &str) -> Option<PathBuf> {
        let file = self.called_as.parent()?.parent()?.join(name);
        file.is_file().then_some(file)
    }

    /// Where downloads go that must lie in a file: STAGING_DIR of the datastore or of the settings.
    fn staging_dir(&self) -> &Path {
        let own = self.request.setting("STAGING_DIR");
        Path::new(if own.is_empty() { self.conf.text("STAGING_DIR", "/var/tmp") } else { own })
    }

    /// What the source of an image is, as the message tells.
    fn source(&self) -> crate::storage::content::Source<'_> {
        use base64::Engine;
        crate::storage::content::Source {
            path: self.request.image.text("PATH"),
            size_mb: self.request.image.get("SIZE").ok().flatten(),
            no_decompress: self.request.setting("NO_DECOMPRESS").eq_ignore_ascii_case("yes"),
            md5: self.request.image_attribute("MD5"),
            sha1: self.request.image_attribute("SHA1"),
            limit_transfer_bw: self.request.setting("LIMIT_TRANSFER_BW"),
            downloader: self.beside("downloader.sh"),
            request: base64::engine::general_purpose::STANDARD.encode(&self.request.text),
            staging_dir: self.staging_dir(),
            limit: self.xe.transfer_limit,
            stop: &self.xe.stop,
        }
    }
}
