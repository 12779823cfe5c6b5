//! One answer of `xe` for several programs of this machine that ask the same pool the same thing at the same
//! time: the monitoring clients of a pool's hosts, where they run on the front-end.
//!
//! The first to come asks, holding the lock of a file, and writes the answer there; who comes meanwhile waits
//! and reads it. The lock goes with its process: nobody waits for the dead, and nobody reads half an answer.

mod answer_file;

use super::{Call, Uuid, xe_error};
use crate::file_lock::FileLock;
use crate::report::Result;
use crate::signal::Stop;
use crate::state_dir::{self, StateDir};
use answer_file::{now, read, write};
use anyhow::anyhow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where answers are shared, and with whom.
#[derive(Debug)]
pub struct Shared {
    folder: PathBuf,
    /// Programs that talk to other pools have other answers.
    pool: Mutex<Option<Uuid>>,
}

impl Shared {
    /// In the directory of our own.
    pub fn new() -> Shared {
        Shared::in_folder(state_dir::path())
    }

    fn in_folder(folder: PathBuf) -> Shared {
        Shared { folder, pool: Mutex::default() }
    }

    /// The pool; `ask` is how to learn of it.
    pub fn pool(&self, ask: impl FnOnce() -> Result<Uuid>) -> Result<Uuid> {
        let mut known = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = known.as_ref() {
            return Ok(pool.clone());
        }
        Ok(known.insert(ask()?).clone())
    }

    /// The host may have gone to another pool.
    pub fn forget_pool(&self) {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The answer to `call`, by `ask` or by another program that has just asked. Where nothing can be shared,
    /// or another asks for longer than `limit`, it is asked for all the same.
    pub fn answer(
        &self,
        pool: &Uuid,
        call: &Call,
        limit: Duration,
        stop: &Stop,
        ask: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let wanted = now();
        let Ok(dir) = StateDir::at(&self.folder) else { return ask() };
        let (name, end) = (name_of(pool, call), Instant::now() + limit);
        let file = loop {
            match FileLock::try_take(&dir, &name) {
                Ok(Some(file)) => break file,
                Ok(None) => {}
                Err(_) => return ask(),
            }
            stop.check()?;
            if Instant::now() > end {
                return ask();
            }
            thread::sleep(LOOK_AGAIN);
        };
        let key = format!("{pool} {call}");
        if let Some(answer) = read(&file.text(), &key, wanted) {
            return answer.map_err(|error| anyhow!(error).context(call.to_string()));
        }
        let begun = now();
        let answer = ask();
        // What cannot be shared is still answered.
        _ = match &answer {
            Ok(text) => file.write(&write(&key, begun, Ok(text))),
            Err(error) => match xe_error(error) {
                Some(error) => file.write(&write(&key, begun, Err(error))),
                None => Ok(()),
            },
        };
        answer
    }
}

fn name_of(pool: &Uuid, call: &Call) -> String {
    let mut hasher = DefaultHasher::new();
    call.to_string().hash(&mut hasher);
    format!("shared-{pool}-{:016x}", hasher.finish())
}

impl Default for Shared {
    fn default() -> Shared {
        Shared::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xe::{XeError, call};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    const LIMIT: Duration = Duration::from_secs(20);

    fn shared() -> (tempfile::TempDir, Shared, Uuid) {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::in_folder(dir.path().join("shared"));
        (dir, shared, "11111111-2222-4333-8444-555555555555".parse().unwrap())
    }

    fn ask(shared: &Shared, pool: &Uuid, verb: &str, count: &AtomicU32) -> Result<String> {
        shared.answer(pool, &call(verb), LIMIT, &Stop::default(), || {
            Ok(format!("answer {}", count.fetch_add(1, Ordering::SeqCst)))
        })
    }

    #[test]
    fn who_asks_at_the_same_time_gets_the_same_answer() {
        let (_dir, shared, pool) = shared();
        let count = AtomicU32::new(0);
        let answers: Vec<String> = thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        shared.answer(&pool, &call("vm-list"), LIMIT, &Stop::default(), || {
                            thread::sleep(Duration::from_millis(300));
                            Ok(format!("answer {}\n\n", count.fetch_add(1, Ordering::SeqCst)))
                        })
                    })
                })
                .collect();
            asking.into_iter().map(|asking| asking.join().unwrap().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == "answer 0\n\n"), "{answers:?}");
    }

    #[test]
    fn other_calls_and_other_pools_have_other_answers() {
        let (_dir, shared, pool) = shared();
        let count = AtomicU32::new(0);
        assert_eq!(ask(&shared, &pool, "vm-list", &count).unwrap(), "answer 0");
        assert_eq!(ask(&shared, &pool, "vdi-list", &count).unwrap(), "answer 1");
        let other: Uuid = "21111111-2222-4333-8444-555555555555".parse().unwrap();
        assert_eq!(ask(&shared, &other, "vm-list", &count).unwrap(), "answer 2");
    }

    #[test]
    fn a_failure_is_shared_too() {
        let (_dir, shared, pool) = shared();
        let failed = |ask: fn() -> Result<String>| {
            shared.answer(&pool, &call("vm-list"), LIMIT, &Stop::default(), ask).unwrap_err()
        };
        failed(|| Err(anyhow!(XeError { code: Some("X".into()), params: vec![], words: "words".into() })));
        let error = failed(|| Ok("not asked".to_owned()));
        assert_eq!(format!("{error:#}"), "xe vm-list: words (X)");
    }

    #[test]
    fn a_folder_that_others_can_reach_is_not_used() {
        let (dir, shared, pool) = shared();
        let count = AtomicU32::new(0);
        fs::create_dir(dir.path().join("shared")).unwrap();
        fs::set_permissions(dir.path().join("shared"), fs::Permissions::from_mode(0o777)).unwrap();
        ask(&shared, &pool, "vm-list", &count).unwrap();
        assert_eq!(ask(&shared, &pool, "vm-list", &count).unwrap(), "answer 1");
        assert_eq!(fs::read_dir(dir.path().join("shared")).unwrap().count(), 0);
    }

    #[test]
    fn nobody_waits_longer_than_the_limit() {
        let (_dir, shared, pool) = shared();
        let folder = StateDir::at(&shared.folder).unwrap();
        let _held = FileLock::try_take(&folder, &name_of(&pool, &call("vm-list"))).unwrap().unwrap();
        let limit = Duration::from_millis(50);
        let answer =
            shared.answer(&pool, &call("vm-list"), limit, &Stop::default(), || Ok("asked".to_owned()));
        assert_eq!(answer.unwrap(), "asked");
    }
}
