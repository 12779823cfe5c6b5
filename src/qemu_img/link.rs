//! Putting the stand-in where OpenNebula's scripts find it.

use super::{Found, NAME, find};
use crate::links::PROGRAM;
use crate::one::Conf;
use crate::one::conf::INVENTORY;
use crate::report::{self, Result};
use anyhow::Context;
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// In the PATH of sshd's sessions in dom0.
const DEFAULT: &str = "/usr/local/bin/qemu-img";

/// On a dom0 without qemu-img, makes the link that QEMU_IMG_LINK names to the program of this driver. What is there
/// already stays, but for a link to an earlier place of this program.
pub fn offer(conf: &Conf, program: &Path) {
    let link = conf.text("QEMU_IMG_LINK", DEFAULT);
    let is_wanted = link != "no" && geteuid().is_root() && conf.optional("XE_SERVER").is_none();
    if !is_wanted || !is_dom0(conf) || !matches!(find(), Found::None) {
        return;
    }
    if let Err(why) = make(Path::new(link), program) {
        report::warn(format!("the host has no {NAME}, and {why:#}"));
    }
}

/// Whether this machine is a host of XAPI's.
pub fn is_dom0(conf: &Conf) -> bool {
    Path::new(conf.text("XENSOURCE_INVENTORY", INVENTORY)).is_file()
}

fn make(link: &Path, program: &Path) -> Result<()> {
    // One that leads nowhere is of remotes that were removed or moved.
    if fs::read_link(link).is_ok_and(|to| to.ends_with(PROGRAM)) {
        _ = fs::remove_file(link);
    }
    symlink(program, link).with_context(|| format!("cannot make the link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_an_earlier_place_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (link, program) = (folder.path().join(NAME), folder.path().join(PROGRAM));
        make(&link, &program).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), program);
        fs::remove_file(&link).unwrap();
        symlink("/var/tmp/earlier/vmm/xcp/one-xcp", &link).unwrap();
        make(&link, &program).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), program);
        fs::remove_file(&link).unwrap();
        symlink("/opt/qemu/bin/qemu-img", &link).unwrap();
        make(&link, &program).unwrap_err();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/opt/qemu/bin/qemu-img"));
    }
}
