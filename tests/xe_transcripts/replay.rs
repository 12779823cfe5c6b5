//! A simulated pool in a directory of its own, asked what the recorded one was asked.

use crate::compare::same;
use crate::names::{Names, Piece, pieces};
use crate::transcript::{self, Recorded};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::{fs, mem};
use tempfile::TempDir;

/// Where the recorded commands had their files.
const RECORDED_FILES: &str = "/tmp/";

pub enum Verdict {
    Same,
    /// The command and both answers, to be read by people.
    Differs(String),
}

pub struct Pool {
    directory: TempDir,
    names: Names,
    /// What the next recorded command needs beyond what was recorded: arguments, and what is typed.
    options: Vec<String>,
    stdin: String,
}

impl Pool {
    /// Makes the pool that `NAME.seed` describes. Its objects have their recorded uuids.
    pub fn start(name: &str) -> Self {
        let seed = transcript::directory().join(format!("{name}.seed"));
        let mut names = Names::default();
        let text = fs::read_to_string(&seed).unwrap();
        for piece in pieces(&text) {
            if let Piece::Name(name) = piece {
                names.bind(name, name);
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let pool = Self { directory, names, options: Vec::new(), stdin: String::new() };
        let said = pool.program().args(["sim", "seed"]).arg(&seed).output().unwrap();
        assert!(said.status.success(), "sim seed: {}", String::from_utf8_lossy(&said.stderr));
        pool
    }

    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_one-xcp"));
        command.env_clear().env("XE_SIM", self.directory.path().join("pool")).stdin(Stdio::piped());
        command.env("HOME", self.directory.path());
        command
    }

    fn xe(&mut self, argv: &[String], env: &[(String, String)]) -> Output {
        let mut command = self.program();
        command.arg("xe");
        for arg in argv {
            command.arg(self.here(arg));
        }
        for (name, value) in env {
            command.env(name, self.here(value));
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that asks nothing may be gone before it is answered.
        _ = child.stdin.take().unwrap().write_all(mem::take(&mut self.stdin).as_bytes());
        child.wait_with_output().unwrap()
    }

    /// A recorded argument as this pool and this directory have it.
    fn here(&mut self, recorded: &str) -> String {
        let files = format!("{}/", self.directory.path().display());
        self.names.translate(recorded).replace(RECORDED_FILES, &files)
    }

    /// A step of `between.txt`, which says what there is.
    pub fn step(&mut self, words: &[String]) {
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        match texts[..] {
            ["file", name, content] => {
                let path = self.here(name);
                if let Some((parent, _)) = path.rsplit_once('/') {
                    fs::create_dir_all(parent).unwrap();
                }
                fs::write(path, content.replace("\\n", "\n")).unwrap();
            }
            ["options", ..] => self.options = words[1..].to_vec(),
            ["stdin", typed] => self.stdin = format!("{typed}\n"),
            ["sim", ..] => {
                let words: Vec<String> = words.iter().map(|word| self.here(word)).collect();
                assert!(self.program().args(words).status().unwrap().success());
            }
            ["xe", ..] => _ = self.succeed(&words[1..]),
            [uuid, "=", "xe", ..] => {
                let made = self.succeed(&words[3..]);
                if !made.is_empty() {
                    assert!(self.names.bind(uuid, made.trim()), "{uuid} is known already");
                }
            }
            _ => panic!("not a step: {words:?}"),
        }
    }

    fn succeed(&mut self, argv: &[String]) -> String {
        let said = self.xe(argv, &[]);
        if !said.status.success() {
            println!("between: {argv:?}: {}", String::from_utf8_lossy(&said.stderr));
        }
        String::from_utf8(said.stdout).unwrap()
    }

    /// Asks what was asked then, and compares.
    pub fn replay(&mut self, recorded: &Recorded) -> Verdict {
        let argv = [mem::take(&mut self.options), recorded.argv.clone()].concat();
        let said = self.xe(&argv, &recorded.env);
        let files = format!("{}/", self.directory.path().display());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(&files, RECORDED_FILES);
        let (exit, stdout, stderr) = (said.status.code(), text(said.stdout), text(said.stderr));
        let minimal = recorded.argv.iter().any(|arg| arg == "--minimal" || arg == "minimal=true")
            || recorded.env.iter().any(|(_, value)| value.contains("--minimal"));
        let mut learnt = self.names.clone();
        if exit == Some(recorded.exit)
            && same(&recorded.stdout, &stdout, minimal, &mut learnt)
            && same(&recorded.stderr, &stderr, false, &mut learnt)
        {
            self.names = learnt;
            return Verdict::Same;
        }
        Verdict::Differs(format!(
            "$ xe {}  {:?}\n-- recorded, exit {}\n{}{}-- simulated, exit {exit:?}\n{stdout}{stderr}",
            recorded.argv.join(" "),
            recorded.env,
            recorded.exit,
            recorded.stdout,
            recorded.stderr,
        ))
    }
}
