//! A front-end with OpenNebula's commands, hosts that are reached by ssh, and a simulated pool: datastore 101 holds
//! images on `Shared NFS`, datastore 100 is a system datastore there.

use crate::common::steps::{Step, Wrong, each_call};
use crate::common::{Host, Recorded, SSH_HEAD, Said, said};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// VM 1's disk 0 as it was recorded, and as it is if its image is on an SR.
pub const DISK_0: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[ssh]]></TM_MAD><TYPE><![CDATA[FILE]]></TYPE>";
pub const IN_XCP: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[xcp]]></TM_MAD><TYPE><![CDATA[BLOCK]]></TYPE>";

/// OS/UUID of the recorded VM 1.
pub const OS_UUID: &str = "3c1c159b-2cd2-4428-9684-07110b6908c4";
pub const OS: &str = "<OS><UUID>3c1c159b-2cd2-4428-9684-07110b6908c4</UUID></OS>";

pub struct Site {
    pub host: Host,
}

/// As ssh: the command line is run by a shell, on a machine that has the same files. Its calls are kept. The one
/// whose number is in `ssh.fault` goes wrong as it says there.
const SSH: &str = r#"
echo "$host $*" >>"$TMPDIR/ssh.log"
[ -e "$TMPDIR/ssh.fault" ] || exec sh -c "$*"
read -r nth way <"$TMPDIR/ssh.fault"
[ "$(wc -l <"$TMPDIR/ssh.log")" -eq "$nth" ] || exec sh -c "$*"
[ "$way" = refused ] || sh -c "$*"
[ "$way" = killed ] && kill -KILL $PPID
echo "ssh: connect to host $host port 22: Connection timed out" >&2
exit 255
"#;
const SHOW: &str = "#!/bin/sh\ncat \"$TMPDIR/one/${0##*/}.$3\"\n";

impl Site {
    pub fn new() -> Site {
        Site::on(Host::new())
    }

    pub fn on(host: Host) -> Site {
        let site = Site { host };
        site.program("bin/ssh", &format!("{SSH_HEAD}{SSH}"));
        site.program("bin/onevm", SHOW);
        site.program("bin/onedatastore", SHOW);
        site.has("onedatastore.100", &datastore("Shared NFS"));
        site.has("onedatastore.101", &datastore("Shared NFS"));
        site.has("onevm.1", &format!("<VM><ID>1</ID><TEMPLATE>{OS}</TEMPLATE></VM>"));
        site.has_vm("<SIZE>10</SIZE><ORIGINAL_SIZE>10</ORIGINAL_SIZE>");
        site
    }

    pub fn program(&self, path: &str, text: &str) {
        let path = self.host.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What OpenNebula's command shows.
    pub fn has(&self, name: &str, text: &str) {
        let file = self.host.path("one").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// VM 2, with these attributes in its disk 0; disks 1, 2 and 5 have none that count.
    pub fn has_vm(&self, attributes: &str) {
        let disk = |id: u32, more: &str| format!("<DISK><DISK_ID>{id}</DISK_ID>{more}</DISK>");
        let disks = [disk(0, attributes), disk(1, ""), disk(2, ""), disk(5, "")].concat();
        self.has(
            "onevm.2",
            &format!("<VM><ID>2</ID><LCM_STATE>3</LCM_STATE><TEMPLATE>{disks}</TEMPLATE></VM>"),
        );
    }

    /// The recorded message in base64, with pieces of it replaced.
    pub fn message(&self, recorded: &str, changes: &[(&str, &str)]) -> Vec<u8> {
        let recorded = Recorded::load(&format!("datastore/{recorded}"));
        let mut text = String::from_utf8(STANDARD.decode(recorded.stdin.trim_ascii()).unwrap()).unwrap();
        let own = [
            ("<![CDATA[abc]]>", "Shared NFS"),
            ("/var/tmp]]></SAFE_DIRS>", &format!("{}]]></SAFE_DIRS>", self.host.path("").display())),
        ];
        for (old, new) in own.iter().map(|(old, new)| (*old, *new)).chain(changes.iter().copied()) {
            assert!(
                text.contains(old) || old.contains("SAFE_DIRS") || old.contains("abc"),
                "{old:?} is not in {text}"
            );
            text = text.replace(old, new);
        }
        STANDARD.encode(text).into_bytes()
    }

    /// The command of a datastore script through its link.
    pub fn ds_command(&self, script: &str, id: &str) -> Command {
        let mut command = self.host.command(self.host.path(&format!("remotes/datastore/xcp/{script}")));
        command.arg(id).env("STAGING_DIR", self.host.path("staging"));
        fs::create_dir_all(self.host.path("staging")).unwrap();
        command
    }

    pub fn ds(&self, script: &str, id: &str, message: &[u8]) -> Said {
        said(&mut self.ds_command(script, id), message)
    }

    /// `cp` of this file as image 2.
    pub fn cp_message(&self, file: &str, size_mb: u64) -> Vec<u8> {
        let path =
            if file.contains("://") { file.to_owned() } else { self.host.path(file).display().to_string() };
        self.message(
            "cp",
            &[("/var/tmp/disk.raw", &path), ("<SIZE>10</SIZE>", &format!("<SIZE>{size_mb}</SIZE>"))],
        )
    }

    /// The recorded message with this file as what the image is made from.
    pub fn cp_message_of(&self, recorded: &str, file: &str) -> Vec<u8> {
        let path =
            if file.contains("://") { file.to_owned() } else { self.host.path(file).display().to_string() };
        self.message(recorded, &[("/var/tmp/disk.raw", &path)])
    }

    pub fn cp(&self, file: &str, size_mb: u64) -> Said {
        self.ds("cp", "2", &self.cp_message(file, size_mb))
    }

    /// An image of 10 MB; gives back its SOURCE.
    pub fn image(&self) -> String {
        crate::common::sparse_file(
            &self.host.path("disk.raw"),
            10 << 20,
            &[(0, b"boot"), (5 << 20, b"in the middle"), ((10 << 20) - 4, b"last")],
        );
        self.cp("disk.raw", 10).ok().split(' ').next().unwrap().to_owned()
    }

    /// An image of 2 MB, for what is done hundreds of times; gives back its SOURCE.
    pub fn small_image(&self) -> String {
        crate::common::sparse_file(
            &self.host.path("small.raw"),
            2 << 20,
            &[(0, b"boot"), (1 << 20, b"middle")],
        );
        self.cp("small.raw", 2).ok().split(' ').next().unwrap().to_owned()
    }

    /// The SR of one of the hosts.
    pub fn local_sr(&self) -> String {
        let local = self.host.xe(&["sr-list", "name-label=Local storage", "params=uuid", "--minimal"]);
        local.split(',').next().unwrap().to_owned()
    }

    /// The SR of this host.
    pub fn local_sr_of(&self, host: &str) -> String {
        let local = self.host.xe(&["sr-list", "name-label=Local storage", "params=uuid", "--minimal"]);
        let is_here = |sr: &&str| {
            let filters = [format!("sr-uuid={sr}"), format!("host-name-label={host}")];
            !self.host.xe(&["pbd-list", &filters[0], &filters[1], "--minimal"]).is_empty()
        };
        local.split(',').find(is_here).unwrap().to_owned()
    }

    /// Runs VM 1, whose `disk.0` names a VDI.
    pub fn deploy_with_disk_on_sr(&self) -> String {
        let deploy = Recorded::load("deploy").with(DISK_0, IN_XCP);
        self.host.deploy_document("xcp-a", &deploy.stdin).ok()
    }

    /// A running VM has this VDI too.
    pub fn in_use(&self, vdi: &str) {
        let vm = self.host.deploy().ok();
        let (vm, vdi) = (format!("vm-uuid={vm}"), format!("vdi-uuid={vdi}"));
        let vbd = self.host.xe(&["vbd-create", &vm, &vdi, "device=7"]);
        self.host.xe(&["vbd-plug", &format!("uuid={vbd}")]);
    }

    /// VM 2's disk 0 is to be on the system datastore's SR, which is another than the image's.
    pub fn system_datastore_is_local(&self) {
        self.has_vm("<CLONE_TARGET>SYSTEM</CLONE_TARGET>");
        self.has("onedatastore.100", &datastore(&self.local_sr()));
    }

    /// What the pool shows of leftovers, long after all of it was begun; OpenNebula has VMs 1 and 2.
    pub fn gc(&self, args: &[&str]) -> Said {
        let mut pool = fs::read_to_string(self.host.path("pool")).unwrap();
        for mark in ["one-incomplete-since-", "made by one-xcp at "] {
            let mut parts = pool.split(mark);
            let mut old = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                old.push_str(mark);
                old.push('1');
                old.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
            pool = old;
        }
        fs::write(self.host.path("pool"), pool).unwrap();
        let mut command = self.host.command(crate::common::PROGRAM);
        command.args(["gc", "--vms-of", "-"]).args(args);
        said(&mut command, b"1 2")
    }

    /// Removes leftovers as `gc` does, and as it advises.
    pub fn tidy(&self) {
        let said = self.gc(&["--yes"]).ok();
        for uuid in said.split("xe vdi-destroy ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
            // A person looks whether a disk.N names it.
            let disk = self.host.vm_folder(100, 2).join("disk.0");
            if fs::read_to_string(disk).unwrap_or_default().trim() != uuid.trim_start_matches("uuid=") {
                self.host.xe(&["vdi-destroy", uuid]);
            }
        }
    }

    pub fn tm_command(&self, script: &str, words: &[&str]) -> Command {
        let datastores = self.host.path("datastores");
        fs::create_dir_all(self.host.path("staging")).unwrap();
        let mut command = self.host.command(self.host.path(&format!("remotes/tm/xcp/{script}")));
        command.env("STAGING_DIR", self.host.path("staging"));
        command.args(
            words
                .iter()
                .map(|word| word.replace("/var/lib/one//datastores", &format!("{}/", datastores.display()))),
        );
        command
    }

    /// Image 9 is a backup on a datastore of OpenNebula's, and its disk 0 is this file.
    pub fn has_backup(&self, file: &str) {
        self.program("bin/oneimage", "#!/bin/sh\ncat \"$TMPDIR/one/oneimage.$3\"\n");
        self.has(
            "oneimage.9",
            "<?xml version=\"1.0\"?><IMAGE><ID>9</ID><DATASTORE_ID>102</DATASTORE_ID></IMAGE>",
        );
        self.has("onedatastore.102", "<DATASTORE><ID>102</ID><DS_MAD>rsync</DS_MAD></DATASTORE>");
        let ls = "#!/bin/sh\ncat >\"$TMPDIR/told\"; echo \"$*\" >>\"$TMPDIR/told\"\n\
        echo '{\"0\":\"rsync://102//0:a4/x/disk.0.0\",\"1\":\"rsync://102//0:a4/x/disk.1.0\"}'\n";
        self.program("remotes/datastore/rsync/ls", ls);
        let taken = self.host.path(file).display().to_string();
        self.program("remotes/datastore/downloader.sh", &format!("#!/bin/sh\nexec cat '{taken}'\n"));
    }

    pub fn tm(&self, script: &str, words: &[&str]) -> Said {
        said(&mut self.tm_command(script, words), b"")
    }

    /// The arguments a real oned gave, with a SOURCE in them replaced by that of our image.
    #[allow(clippy::unused_self, reason = "it reads as all else here")]
    pub fn recorded(&self, name: &str, source: &str) -> Vec<String> {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/opennebula-7.4/tm");
        let argv = fs::read_to_string(folder.join(name).join("argv")).unwrap();
        let source_of = |word: &str| match word.find("vdi-uuid-") {
            Some(at) => format!("{}{source}", &word[..at]),
            None => word.to_owned(),
        };
        argv.lines().map(source_of).collect()
    }

    /// Runs a script of `tm/xcp` as it was recorded.
    pub fn tm_recorded(&self, name: &str, source: &str) -> Said {
        let words = self.recorded(name, source);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.tm(name.split('.').next().unwrap(), &words)
    }

    /// What `disk.N` of VM 2 names.
    pub fn disk(&self, number: u32) -> String {
        let file = self.host.vm_folder(100, 2).join(format!("disk.{number}"));
        fs::read_to_string(file).unwrap().trim_end().to_owned()
    }

    pub fn has_disk_file(&self, number: u32) -> bool {
        self.host.vm_folder(100, 2).join(format!("disk.{number}")).exists()
    }

    /// VDIs with this tag.
    pub fn tagged(&self, tag: &str) -> Vec<String> {
        let found = self.host.xe(&["vdi-list", &format!("tags:contains={tag}"), "params=uuid", "--minimal"]);
        found.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
    }

    pub fn vdi_param(&self, uuid: &str, field: &str) -> String {
        self.host.xe(&["vdi-param-get", &format!("uuid={uuid}"), &format!("param-name={field}")])
    }

    pub fn is_there(&self, uuid: &str) -> bool {
        !self.host.xe(&["vdi-list", &format!("uuid={uuid}"), "params=uuid", "--minimal"]).is_empty()
    }

    /// Each call of the script going wrong in each way; afterwards `check`.
    pub fn each(&self, command: &dyn Fn(&Site) -> (Command, Vec<u8>), check: &dyn Fn(&Site, &Step)) {
        self.each_in(&[Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed], command, check);
    }

    /// As [`Site::each`], in these ways only.
    pub fn each_in(
        &self,
        ways: &[Wrong],
        command: &dyn Fn(&Site) -> (Command, Vec<u8>),
        check: &dyn Fn(&Site, &Step),
    ) {
        each_call(&self.host, ways, &|_| command(self), &|_, step| check(self, step));
    }
}

fn datastore(sr: &str) -> String {
    format!("<DATASTORE><ID>100</ID><TEMPLATE><XCP_SR><![CDATA[{sr}]]></XCP_SR></TEMPLATE></DATASTORE>")
}
