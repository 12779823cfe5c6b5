//! Running a script in a guest: XAPI's plugin `guest-agent-operation` (xapi_vm.ml `run_script`).
//!
//! XAPI asks the guest's agent through xenstore (`control/batcmd`). Of the agents only XenServer's for Windows
//! offers it, as `feature-xs-batcmd`; and the pool's administrator must have allowed it.

use super::{Uuid, Xe, call, failed_with, xe_error};
use crate::report::Result;
use anyhow::{Context, Error, bail, ensure};
use std::str::FromStr;
use std::time::Duration;

/// XAPI takes no longer one (xapi_vm.ml:1086).
const MAX_BYTES: usize = 1024;

/// What the script left. XAPI cuts each text at 1024 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptResult {
    pub return_code: i64,
    pub stdout: String,
    pub stderr: String,
}

/// Refuses what XAPI would refuse, before it is asked.
pub fn check(script: &str) -> Result<()> {
    ensure!(!script.trim().is_empty(), "there is no command to run");
    ensure!(
        script.len() <= MAX_BYTES,
        "the command has {} bytes: XAPI takes at most {MAX_BYTES}",
        script.len()
    );
    Ok(())
}

/// Whether the running guest has an agent that runs scripts.
pub fn is_offered(xe: &Xe, vm: &Uuid) -> Result<bool> {
    let asked =
        call("vm-param-get").set("uuid", vm).set("param-name", "other").set("param-key", "feature-xs-batcmd");
    match xe.run(&asked) {
        Ok(value) => Ok(!value.trim().is_empty() && value.trim() != "0"),
        // A key that is not there, or a guest that XAPI knows nothing of.
        Err(error) if xe_error(&error).is_some_and(|error| error.words.contains("not found in map")) => {
            Ok(false)
        }
        Err(error) if failed_with(&error, &["HANDLE_INVALID"]) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs the script and waits for its end. XAPI wants a user and a password, and uses neither.
pub fn run(xe: &Xe, vm: &Uuid, script: &str, limit: Duration) -> Result<ScriptResult> {
    let run = call("vm-call-plugin")
        .set("vm-uuid", vm)
        .set("plugin", "guest-agent-operation")
        .set("fn", "run-script")
        .set("args:username", "")
        .set("args:password", "")
        .set("args:script", script);
    let answer = xe.run_within(&run, limit)?;
    answer.trim().parse().with_context(|| format!("{run} answered something else"))
}

impl FromStr for ScriptResult {
    type Err = Error;

    /// `{"rc":0,"stdout":"a\nb","stderr":""}`, as xapi's Jsonrpc writes it.
    fn from_str(text: &str) -> Result<ScriptResult> {
        let mut result = ScriptResult::default();
        let mut rest = text.strip_prefix('{').context("it is no JSON object")?.trim_start();
        let mut has_code = false;
        while !rest.starts_with('}') {
            let (key, after) = string(rest)?;
            let after = after.trim_start().strip_prefix(':').context("a key without a value")?.trim_start();
            rest = if after.starts_with('"') {
                let (value, after) = string(after)?;
                match key.as_str() {
                    "stdout" => result.stdout = value,
                    "stderr" => result.stderr = value,
                    _ => {}
                }
                after
            } else {
                let end = after.find([',', '}']).context("the object does not end")?;
                let (value, after) = after.split_at(end);
                if key == "rc" {
                    result.return_code = value.trim().parse().context("rc is no number")?;
                    has_code = true;
                }
                after
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        ensure!(has_code, "there is no rc in it");
        Ok(result)
    }
}

/// A JSON string at the beginning of `text`, and what follows it.
fn string(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"').context("a string was expected")?.chars();
    loop {
        match chars.next().context("a string does not end")? {
            '"' => return Ok((value, chars.as_str())),
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some('b') => value.push('\u{8}'),
                Some('f') => value.push('\u{c}'),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).context("\\u without four digits")?;
                    value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                Some(other @ ('"' | '\\' | '/')) => value.push(other),
                _ => bail!("an escape that JSON does not have"),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ScriptResult;

    #[test]
    fn an_answer_is_taken_apart() {
        let text = r#"{"rc":-3,"stdout":"a\r\n\"b\" \\ \u0041\u00e9","stderr":""}"#;
        let result: ScriptResult = text.parse().unwrap();
        assert_eq!(
            result,
            ScriptResult { return_code: -3, stdout: "a\r\n\"b\" \\ Aé".into(), stderr: String::new() }
        );
        let spaced: ScriptResult = r#"{ "stdout" : "x" , "stderr" : "y" , "rc" : 1 }"#.parse().unwrap();
        assert_eq!((spaced.return_code, spaced.stderr.as_str()), (1, "y"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in
            ["", "{", "{}", "[1]", r#"{"rc":}"#, r#"{"rc":"0"}"#, r#"{"rc":0,"stdout":"x"#, r#"{"rc":0 "x"#]
        {
            assert!(text.parse::<ScriptResult>().is_err(), "{text}");
        }
    }
}
