//! Where the files of a VM's backup lie until the backup datastore's own script (rsync, restic) takes them away.

use super::Call;
use super::place::Place;
use crate::one::shell_setting;
use crate::report::Result;
use anyhow::{Context, ensure};
use std::env;
use std::fs;
use std::path::Path;

/// The folder in the VM's own, where the administrator has set none (tm/lib/backup.rb).
const NAME: &str = "backup";
/// The administrator's folder for them, the same on all hosts: a dom0's own disk is small.
const SETTING: &str = "BACKUP_BASE_PATH";
/// OpenNebula's settings of datastores, below the remotes. Its own scripts read them there
/// (tm/lib/datastore.rb `load_env`), and look for the files where they say.
const FILE: &str = "etc/datastore/datastore.conf";

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
    let file = called_as.ancestors().skip(1).map(|folder| folder.join(FILE)).find(|file| file.is_file());
    let text = match &file {
        Some(file) => fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => String::new(),
    };
    let set = in_file(&text).map(str::to_owned).or_else(|| env::var(SETTING).ok());
    let Some(base) = set.filter(|base| !base.is_empty()) else { return Ok(None) };
    ensure!(base.starts_with('/'), "{SETTING} is {base:?}: it must be a full path");
    Ok(Some(base))
}

/// The file is not ours: lines that are no settings are left to others.
fn in_file(text: &str) -> Option<&str> {
    let setting = |line| shell_setting::read(line).ok().flatten().filter(|(name, _)| *name == SETTING);
    text.lines().rev().find_map(setting).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::in_file;

    #[test]
    fn the_last_line_that_sets_it_counts() {
        assert_eq!(in_file("#BACKUP_BASE_PATH=\"/a\"\nSUPPORTED_FS=\"ext4,xfs\"\n"), None);
        assert_eq!(in_file("BACKUP_BASE_PATH=\"/a\"\nif x\nexport BACKUP_BASE_PATH=/b # c\n"), Some("/b"));
    }
}
