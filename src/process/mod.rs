//! Runs a program within a time limit, and kills its whole process group past it.

mod said;

use crate::report::Result;
use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use said::{Said, read_all, read_some};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wait_timeout::ChildExt;

/// How often a wait looks whether this program was told to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// What a program said before it ended.
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// The program did not end within its limit and was killed. What it had set off elsewhere may go on.
#[derive(Debug)]
pub struct TimedOut {
    program: String,
    limit: Duration,
}

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} did not end within {} s", self.program, self.limit.as_secs())
    }
}

impl std::error::Error for TimedOut {}

/// Runs `command` without standard input and collects what it prints.
pub fn output(command: &mut Command, limit: Duration) -> Result<Output> {
    command.stdin(Stdio::null());
    let (mut stdout, ended) = (Ok(Vec::new()), AtomicBool::new(false));
    let read = |pipe| stdout = read_all(Said { pipe, ended: &ended });
    let said = run(command, limit, None, &|| (), Box::new(drop), Box::new(read), &ended)?;
    Ok(Output { stdout: stdout?, ..said })
}

/// Runs `command` with `stdin` as its standard input and collects what it prints. Ends early when `stop` becomes true.
pub fn output_from(
    command: &mut Command,
    stdin: Stdio,
    limit: Duration,
    stop: Option<&AtomicBool>,
) -> Result<Output> {
    command.stdin(stdin);
    let (mut stdout, ended) = (Ok(Vec::new()), AtomicBool::new(false));
    let read = |pipe| stdout = read_all(Said { pipe, ended: &ended });
    let said = run(command, limit, stop, &|| (), Box::new(drop), Box::new(read), &ended)?;
    Ok(Output { stdout: stdout?, ..said })
}

/// Runs `command` while `feed` writes its standard input. Ends early when `stop` becomes true. `at_end` is run when
/// the program has ended, before `feed` is waited for.
pub fn feed<T: Send>(
    command: &mut Command,
    limit: Duration,
    stop: &AtomicBool,
    at_end: &dyn Fn(),
    feed: impl FnOnce(ChildStdin) -> Result<T> + Send,
) -> Result<(Output, Result<T>)> {
    command.stdin(Stdio::piped());
    let (mut stdout, ended) = (Ok(Vec::new()), AtomicBool::new(false));
    let mut written = Err(anyhow!("there is no pipe to write to"));
    let write = |stdin: Option<ChildStdin>| {
        if let Some(stdin) = stdin {
            written = feed(stdin);
        }
    };
    let read = |pipe| stdout = read_some(Said { pipe, ended: &ended });
    let said = run(command, limit, Some(stop), at_end, Box::new(write), Box::new(read), &ended)?;
    Ok((Output { stdout: stdout?, ..said }, written))
}

/// Runs `command` while `read` takes in its standard output. Ends early when `stop` becomes true.
pub fn read<T: Send>(
    command: &mut Command,
    limit: Duration,
    stop: &AtomicBool,
    read: impl FnOnce(ChildStdout) -> Result<T> + Send,
) -> Result<(Output, Result<T>)> {
    command.stdin(Stdio::null());
    let mut taken = Err(anyhow!("there is no pipe to read from"));
    let (read, ended) = (Box::new(|stdout| taken = read(stdout)), AtomicBool::new(false));
    let said = run(command, limit, Some(stop), &|| (), Box::new(drop), read, &ended)?;
    Ok((said, taken))
}

type Writer<'a> = Box<dyn FnOnce(Option<ChildStdin>) + Send + 'a>;
type Reader<'a> = Box<dyn FnOnce(ChildStdout) + Send + 'a>;

/// Starts `command` and waits for its end, while `write` and `read` have its pipes. Standard error is
/// collected. `has_ended` becomes true then.
fn run(
    command: &mut Command,
    limit: Duration,
    stop: Option<&AtomicBool>,
    at_end: &dyn Fn(),
    write: Writer<'_>,
    read: Reader<'_>,
    has_ended: &AtomicBool,
) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|why| cannot_start(&program, &why))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        // Both pipes are drained while the program runs: it would block on a full one.
        scope.spawn(move || write(stdin));
        scope.spawn(move || stdout.map(read));
        let complaints = scope.spawn(move || {
            read_some(Said { pipe: stderr.context("no pipe to read from")?, ended: has_ended })
        });
        let ended = wait(&mut child, limit, stop);
        // Whoever is left of the group holds our pipes open.
        _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let reaped = child.wait();
        has_ended.store(true, Ordering::Relaxed);
        at_end();
        let complaints = complaints.join();
        let status = ended?.ok_or_else(|| anyhow!(TimedOut { program: program.clone(), limit }))?;
        reaped.with_context(|| format!("cannot wait for {program}"))?;
        match complaints {
            Ok(stderr) => Ok(Output { status, stdout: Vec::new(), stderr: stderr? }),
            Err(_) => bail!("cannot read what {program} complains of"),
        }
    })
}

/// Waits for the child; `None` when `limit` is up.
fn wait(child: &mut Child, limit: Duration, stop: Option<&AtomicBool>) -> Result<Option<ExitStatus>> {
    let Some(stop) = stop else { return Ok(child.wait_timeout(limit)?) };
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if let Some(status) = child.wait_timeout(left.min(STOP_CHECK))? {
            return Ok(Some(status));
        }
        if stop.load(Ordering::Relaxed) {
            bail!("stopped by a signal");
        }
        if left.is_zero() {
            return Ok(None);
        }
    }
}

fn cannot_start(program: &str, why: &io::Error) -> anyhow::Error {
    match why.kind() {
        io::ErrorKind::NotFound if program.ends_with("xe") => anyhow!(
            "there is no program {program}: install XAPI's xe here, or set XE in xcprc to where it is"
        ),
        io::ErrorKind::NotFound => anyhow!("there is no program {program}"),
        io::ErrorKind::PermissionDenied => anyhow!("{program} is not an executable file for this user"),
        _ => anyhow!("cannot start {program}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_it_leaves_behind_with_its_pipes_is_not_waited_for() {
        let start = Instant::now();
        let mut command = shell("setsid sleep 100 & echo $!; echo said; echo complained >&2; sleep 0.2");
        let said = output(&mut command, Duration::from_secs(90)).unwrap();
        let (pid, text) = std::str::from_utf8(&said.stdout).unwrap().split_once('\n').unwrap();
        _ = Command::new("kill").arg(pid).status();
        assert_eq!((text, said.stderr.as_slice()), ("said\n", &b"complained\n"[..]));
        assert!(start.elapsed() < Duration::from_secs(80));
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_past_its_limit_is_killed_with_its_children() {
        let start = Instant::now();
        let error = output(&mut shell("sleep 30 & sleep 30"), Duration::from_millis(100)).err().unwrap();
        assert!(error.downcast_ref::<TimedOut>().is_some(), "{error:#}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_it_prints_is_kept_apart() {
        let said = output(&mut shell("echo out; echo err >&2; exit 3"), Duration::from_secs(10)).unwrap();
        assert_eq!(
            (said.stdout, said.stderr, said.status.code()),
            (b"out\n".into(), b"err\n".into(), Some(3))
        );
    }

    #[test]
    fn a_fed_program_that_stops_reading_does_not_hang_us() {
        let never = AtomicBool::new(false);
        let block = vec![0u8; 1 << 20];
        let (said, fed) = feed(&mut shell("exit 0"), Duration::from_secs(10), &never, &|| (), |mut stdin| {
            Ok(io::Write::write_all(&mut stdin, &block)?)
        })
        .unwrap();
        assert!(said.status.success() && fed.is_err());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("/no/such/xe"), Duration::from_secs(1)).err().unwrap();
        assert!(error.to_string().contains("/no/such/xe"), "{error:#}");
    }
}
