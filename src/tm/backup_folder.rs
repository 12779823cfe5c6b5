//! Where the files of a VM's backup lie until the backup datastore's own script (rsync, restic) takes them away.

use super::Call;
use super::place::Place;
use crate::one::DatastoreConf;
use crate::report::Result;
use anyhow::{Context, ensure};
use std::env;
use std::path::Path;

/// The folder in the VM's own, where the administrator has set none (tm/lib/backup.rb).
const NAME: &str = "backup";
/// The administrator's folder for them, the same on all hosts: a dom0's own disk is small. OpenNebula's
/// scripts look for the files there (tm/lib/datastore.rb `load_env`).
const SETTING: &str = "BACKUP_BASE_PATH";

/// Where they lie, and what of it is nobody's once they are gone.
pub struct BackupFolder {
    pub files: Place,
    pub all: Place,
}

/// That of VM `vm_id`, whose own folder on its host is `folder`.
pub fn of(call: &Call, folder: &Place, vm_id: u32) -> Result<BackupFolder> {
    let Some(base) = base(&call.caller.called_as)? else {
        let files = folder.below(NAME);
        return Ok(BackupFolder { all: files.clone(), files });
    };
    let all: Place = format!("{}:{base}/{vm_id}/{NAME}", folder.host).parse().context(SETTING)?;
    let above = Place { host: all.host.clone(), path: all.folder().to_owned() };
    Ok(BackupFolder { files: all, all: above })
}

/// The setting; the file's wins, as in OpenNebula's scripts.
fn base(called_as: &Path) -> Result<Option<String>> {
    let set = DatastoreConf::load(called_as)?.get(SETTING).map(str::to_owned);
    let set = set.or_else(|| env::var(SETTING).ok()).filter(|base| !base.is_empty());
    if let Some(base) = &set {
        ensure!(base.starts_with('/'), "{SETTING} is {base:?}: it must be a full path");
    }
    Ok(set)
}
