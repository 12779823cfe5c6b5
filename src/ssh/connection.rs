//! One login for everything that a program runs on a host: ssh's own multiplexing (ssh_config(5), `ControlMaster`).
//!
//! The connection is a child of this program, and its remote command a `cat` that reads what this program never
//! writes: it ends with this program, also when that is killed, as soon as the commands under way have ended. The socket
//! is in the state directory, which belongs to this user alone. Without a connection each command logs in for itself.

use crate::state_dir::StateDir;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// For a login. OpenNebula calls some scripts every few minutes, and one for each disk: a host that is down must not
/// hold them up.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
/// A socket's name has up to 107 bytes (unix(7)); ssh binds one that is 17 longer first (OpenSSH `mux.c`).
const MAX_PATH: usize = 107 - 17;
/// How the sockets' names begin; the number of the program that made it follows.
const NAME: &str = "ssh-";
/// ssh's own failure, not its command's.
const FAILED: i32 = 255;

/// Why there is no connection.
enum Missing {
    /// It was not tried, or ssh cannot do it: the host may be reached nevertheless.
    Unused,
    /// The host was not reached, and what ssh says of it.
    Unreachable(String),
}

struct Master {
    /// Its standard input stays open as long as this program runs.
    child: Mutex<Child>,
    socket: PathBuf,
}

type Slot = Arc<OnceLock<Result<Master, Missing>>>;

/// Each host's, made by the first command for it.
static CONNECTIONS: Mutex<BTreeMap<String, Slot>> = Mutex::new(BTreeMap::new());

fn slot(host: &str) -> Slot {
    let mut all = CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let slot = Arc::clone(all.entry(host.to_owned()).or_default());
    drop(all);
    // Others that want the same host wait here; other hosts' do not.
    slot.get_or_init(|| connect(host));
    slot
}

/// The socket of the connection to `host`, which is made if there is none yet.
pub fn socket(host: &str) -> Option<PathBuf> {
    Some(slot(host).get()?.as_ref().ok()?.socket.clone())
}

/// Logs in to `host`, if that was not done before; what ssh says if it cannot be reached.
pub fn reach(host: &str) -> Result<(), String> {
    match slot(host).get() {
        Some(Ok(_)) => Ok(()),
        Some(Err(Missing::Unreachable(why))) => Err(why.clone()),
        _ => {
            let tried = super::program()
                .args(["-o", "BatchMode=yes", "-o", &connect_timeout(), host, "true"])
                .stdin(Stdio::null())
                .output();
            match tried {
                Ok(said) if said.status.success() => Ok(()),
                Ok(said) => Err(super::complaint(&said.stderr)),
                Err(why) => Err(format!("cannot run ssh: {why}")),
            }
        }
    }
}

/// Ends all connections.
pub fn close() {
    let all = std::mem::take(&mut *CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner));
    for master in all.values().filter_map(|slot| slot.get()?.as_ref().ok()) {
        let mut child = master.child.lock().unwrap_or_else(PoisonError::into_inner);
        _ = child.kill();
        _ = child.wait();
        _ = std::fs::remove_file(&master.socket);
    }
}

fn connect(host: &str) -> Result<Master, Missing> {
    let socket = new_socket().ok_or(Missing::Unused)?;
    let path = format!("ControlPath={}", socket.display());
    let mut ssh = super::program();
    for option in ["BatchMode=yes", &connect_timeout(), "ControlMaster=yes", "ControlPersist=no", &path] {
        ssh.args(["-o", option]);
    }
    ssh.args([host, "exec cat >/dev/null"]);
    // In a process group of its own: undoing needs it when this program is told to stop.
    let started =
        ssh.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn();
    let mut child = started.map_err(|_| Missing::Unused)?;
    let until = Instant::now() + LOGIN_LIMIT;
    loop {
        // ssh gives it this name when it listens.
        if socket.symlink_metadata().is_ok() {
            return Ok(Master { child: Mutex::new(child), socket });
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(match status.code() {
                Some(FAILED) => Missing::Unreachable(complaint(&mut child)),
                _ => Missing::Unused,
            });
        }
        if Instant::now() > until {
            _ = child.kill();
            _ = child.wait();
            return Err(Missing::Unreachable(format!("no answer within {} s", LOGIN_LIMIT.as_secs())));
        }
        thread::sleep(PAUSE);
    }
}

fn connect_timeout() -> String {
    format!("ConnectTimeout={}", LOGIN_LIMIT.as_secs())
}

fn complaint(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        _ = stderr.take(4096).read_to_end(&mut text);
    }
    super::complaint(&text)
}

/// A free name in the state directory; none where ssh could not use it.
fn new_socket() -> Option<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let dir = StateDir::open().ok()?;
    clear(&dir);
    let name = format!("{NAME}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = dir.path_of(&name);
    // A program that was killed with ssh itself may have had this number.
    dir.remove(&name);
    fits(&path).then_some(path)
}

/// Removes what is left of programs that were killed together with their ssh.
fn clear(dir: &StateDir) {
    for name in dir.names() {
        let program = name.strip_prefix(NAME).and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
        if program.is_some_and(|number| !Path::new(&format!("/proc/{number}")).exists()) {
            dir.remove(&name);
        }
    }
}

/// ssh expands `%` and `$` in the name and splits it at blanks.
fn fits(path: &Path) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    path.to_str().is_some_and(|text| text.len() <= MAX_PATH && text.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ssh_would_refuse_or_change_is_not_used() {
        let long = format!("/tmp/{}", "a".repeat(MAX_PATH));
        for (path, expected) in [
            ("/var/run/one-xcp/ssh-4711-0", true),
            ("/tmp/%h/ssh-1-0", false),
            ("/tmp/a b/ssh-1-0", false),
            ("/tmp/${HOME}/ssh-1-0", false),
            (long.as_str(), false),
        ] {
            assert_eq!(fits(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn only_sockets_of_programs_that_have_ended_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::at(&folder.path().join("state")).unwrap();
        let own = format!("{NAME}{}-0", std::process::id());
        // Numbers of processes end at 4194304 (proc(5)).
        for name in ["ssh-4194999-0", own.as_str(), "ssh-key", "lock-1"] {
            dir.replace(name, "").unwrap();
        }
        clear(&dir);
        let mut names = dir.names();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let mut expected = vec!["lock-1".to_owned(), own, "ssh-key".to_owned()];
        expected.sort();
        assert_eq!(names, expected);
    }
}
