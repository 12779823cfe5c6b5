//! Which release of OpenNebula the drivers are called by: `remotes/VERSION`.

use std::fs;
use std::path::Path;

/// The release's numbers, as `7.4.0` → [7, 4, 0].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(Vec<u32>);

/// From this release on, all of standard error that is no log line is the user's error text
/// (DriverExecHelper.rb); before, only what stands between two marks.
const PLAIN_ERRORS_SINCE: [u32; 3] = [6, 0, 3];
/// From this release on hosts keep reporting to onemonitord; before, oned asks them.
const MONITORD_SINCE: [u32; 2] = [5, 12];
/// From this release on there is no importing of VMs.
const NO_IMPORT_SINCE: [u32; 1] = [7];
/// From this release on a VM's use is called CPU and MEMORY; before, USEDCPU and USEDMEMORY.
const CPU_SINCE: [u32; 2] = [4, 14];

impl Release {
    /// The text of VERSION in the remotes that the script stands in.
    pub fn text_beside(called_as: &Path) -> Option<String> {
        let file =
            called_as.ancestors().skip(1).map(|folder| folder.join("VERSION")).find(|file| file.is_file())?;
        Some(fs::read_to_string(file).ok()?.trim().to_owned())
    }

    /// None by hand, where no remotes tell.
    pub fn beside(called_as: &Path) -> Option<Release> {
        let text = Release::text_beside(called_as)?;
        Some(Release(text.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?))
    }

    /// Whether errors must stand between marks to reach the user.
    pub fn marks_errors(&self) -> bool {
        self.0 < PLAIN_ERRORS_SINCE.to_vec()
    }

    /// Whether its oned asks a host for everything, VMs included, instead of listening to it.
    pub fn polls(&self) -> bool {
        self.0 < MONITORD_SINCE.to_vec()
    }

    /// Whether it finds an imported VM by its DEPLOY_ID, where the probes can give no id but -1.
    pub fn imports(&self) -> bool {
        self.0 < NO_IMPORT_SINCE.to_vec()
    }

    /// Whether it reads a VM's use as USEDCPU and USEDMEMORY.
    pub fn says_used(&self) -> bool {
        self.0 < CPU_SINCE.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn old_releases_want_marks() {
        for (numbers, marks) in
            [(vec![5, 12, 0, 3], true), (vec![6, 0, 2], true), (vec![6, 0, 3], false), (vec![7, 4, 0], false)]
        {
            assert_eq!(Release(numbers.clone()).marks_errors(), marks, "{numbers:?}");
        }
    }

    #[test]
    fn releases_before_5_12_ask() {
        for (numbers, polls) in [
            (vec![3, 4, 1], true),
            (vec![4, 14, 2], true),
            (vec![5, 10, 5], true),
            (vec![5, 12, 0, 3], false),
            (vec![6, 10, 5], false),
            (vec![7, 4, 0], false),
        ] {
            assert_eq!(Release(numbers.clone()).polls(), polls, "{numbers:?}");
            assert_eq!(Release(numbers.clone()).says_used(), numbers < vec![4, 14], "{numbers:?}");
            assert_eq!(Release(numbers.clone()).imports(), numbers < vec![7], "{numbers:?}");
        }
    }
}
