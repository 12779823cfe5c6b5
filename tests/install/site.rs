//! An OpenNebula front-end in a temporary folder, and an unpacked release to install on it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The scripts the stand-in program names: all of the virtualization driver's, and one a probe folder.
pub const LINKS: [&str; 32] = [
    "vmm/xcp/deploy",
    "vmm/xcp/shutdown",
    "vmm/xcp/cancel",
    "vmm/xcp/save",
    "vmm/xcp/restore",
    "vmm/xcp/migrate",
    "vmm/xcp/migrate_local",
    "vmm/xcp/reboot",
    "vmm/xcp/reset",
    "vmm/xcp/poll",
    "vmm/xcp/attach_disk",
    "vmm/xcp/detach_disk",
    "vmm/xcp/attach_nic",
    "vmm/xcp/detach_nic",
    "vmm/xcp/prereconfigure",
    "vmm/xcp/reconfigure",
    "vmm/xcp/snapshot_create",
    "vmm/xcp/snapshot_revert",
    "vmm/xcp/snapshot_delete",
    "vmm/xcp/resize",
    "vmm/xcp/resize_disk",
    "vmm/xcp/update_conf",
    "vmm/xcp/exec",
    "vmm/xcp/exec_cancel",
    "im/xcp.d/monitord-client_control.sh",
    "im/xcp-probes.d/host/beacon/xcp-beacon",
    "im/xcp-probes.d/host/system/xcp-system",
    "im/xcp-probes.d/host/monitor/xcp-monitor",
    "im/xcp-probes.d/vm/status/xcp-status",
    "im/xcp-probes.d/vm/monitor/xcp-monitor",
    "im/xcp-probes.d/vm/snapshot/xcp-snapshot",
    "im/xcp-probes.d/vm/execution/xcp-execution",
];

pub const PROGRAM_BYTES: usize = 1_500_000;
const NOBODY: u32 = 65534;

/// What a path is: its mode and its contents, or where it leads.
pub type Tree = BTreeMap<PathBuf, String>;

pub struct Site {
    dir: TempDir,
}

/// How a run of `install.sh` ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// What it printed, having ended well and silently.
    pub fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// The one line that tells why it failed.
    pub fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        self.stderr
    }
}

impl Site {
    /// A front-end with KVM's drivers, under a path no shell reads unquoted.
    pub fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        fs::set_permissions(site.dir.path(), Permissions::from_mode(0o755)).unwrap();
        for dir in ["vmm/kvm", "im/kvm.d", "etc/vmm/kvm"] {
            fs::create_dir_all(site.remotes().join(dir)).unwrap();
        }
        fs::write(site.remotes().join("vmm/kvm/deploy"), "#!/bin/sh\n").unwrap();
        fs::create_dir(site.etc()).unwrap();
        fs::write(site.etc().join("oned.conf"), "# oned\nVM_MAD = [ NAME = \"kvm\" ]\n").unwrap();
        fs::write(site.etc().join("monitord.conf"), "IM_MAD = [ NAME = \"kvm\" ]\n").unwrap();

        let package = site.package();
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in [
            "install.sh",
            "remotes/vmm/xcp/one-xcp.sh",
            "remotes/etc/vmm/xcp/xcprc",
            "sunstone/sunstone.sh",
            "sunstone/XcpModule/remoteEntry.js",
        ] {
            fs::create_dir_all(package.join(file).parent().unwrap()).unwrap();
            fs::copy(source.join(file), package.join(file)).unwrap();
        }
        site.release("0.1.0", &LINKS);
        site
    }

    /// Makes the release to install from one of that version, with a program naming these scripts.
    pub fn release(&self, version: &str, links: &[&str]) {
        let mut program = format!(
            "#!/bin/sh\ncase $1 in\n--version) echo one-xcp {version} ;;\nlinks) echo '{}' ;;\n\
             link) shift; printf '<%s>' \"$@\" ;;\n*) exit 1 ;;\nesac\nexit\n#",
            links.join("\n")
        );
        program.push_str(&"x".repeat(PROGRAM_BYTES - program.len()));
        write_program(&self.package().join("one-xcp"), &program);
    }

    pub fn package(&self) -> PathBuf {
        self.dir.path().join("the release's \"folder\"")
    }

    pub fn one_location(&self) -> PathBuf {
        self.dir.path().join("one's \"front end\" $HOME")
    }

    pub fn remotes(&self) -> PathBuf {
        self.one_location().join("var/remotes")
    }

    pub fn etc(&self) -> PathBuf {
        self.one_location().join("etc")
    }

    /// A path beside the front-end that does not exist yet.
    pub fn elsewhere(&self) -> PathBuf {
        self.dir.path().join("else where")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.arg(self.package().join("install.sh")).args(args);
        command.env("ONE_LOCATION", self.one_location()).current_dir(self.dir.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    /// Runs it as a user who may write only where everybody may.
    pub fn run_as_stranger(&self, args: &[&str]) -> Run {
        let mut command = self.command(args);
        if fs::metadata(self.dir.path()).unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        finish(&mut command)
    }

    /// The whole front-end.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        read_tree(&self.one_location(), &self.one_location(), &mut tree);
        tree
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.one_location().join(path)).unwrap()
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.one_location().join(path), text).unwrap();
    }

    /// Puts a link in the place of whatever is there.
    pub fn link(&self, target: &str, path: &str) {
        let path = self.one_location().join(path);
        _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }
}

pub fn finish(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

pub fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

pub fn read_tree(top: &Path, dir: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let what = if metadata.is_symlink() {
            format!("-> {}", path.read_link().unwrap().display())
        } else if metadata.is_dir() {
            read_tree(top, &path, tree);
            format!("{:o}", metadata.mode())
        } else {
            format!("{:o} {}", metadata.mode(), String::from_utf8_lossy(&fs::read(&path).unwrap()))
        };
        tree.insert(path.strip_prefix(top).unwrap().into(), what);
    }
}
