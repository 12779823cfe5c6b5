//! The client's own arguments, taken out of the others: those of the server, the user and the password.

use super::client::Request;
use std::fs;

/// What has been taken so far; what comes later wins.
#[derive(Default)]
pub struct Taking {
    pub request: Request,
    pub password_file: Option<String>,
}

impl Taking {
    /// Takes the client's own arguments out; gives back the others, or a complaint.
    pub fn all(&mut self, args: &[String]) -> Result<Vec<String>, String> {
        let mut rest = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let key = match arg.as_str() {
                "-s" | "-h" => "server",
                "-p" => "port",
                "-u" => "username",
                "-pw" => "password",
                "-pwf" => "passwordfile",
                "--traceparent" => "traceparent",
                "--nossl" => {
                    self.request.plain = true;
                    continue;
                }
                "--debug" | "--debug-on-fail" => continue,
                _ => "",
            };
            let mut ahead = args.clone();
            if let (false, Some(value)) = (key.is_empty(), ahead.next()) {
                self.take(key, value)?;
                args = ahead;
                continue;
            }
            match arg.split_once('=') {
                Some((key, value)) if self.take(key, value)? => {}
                _ => rest.push(arg.clone()),
            }
        }
        Ok(rest)
    }

    /// Takes one setting; whether it is the client's.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "server" => self.request.server = Some(value.to_owned()),
            "port" => {
                let port =
                    value.parse().map_err(|_| "Port number must be an integer (0-65535)\n".to_owned())?;
                self.request.port = Some(port);
            }
            "username" => self.request.username = Some(value.to_owned()),
            "password" => self.request.password = Some(value.to_owned()),
            "passwordfile" => self.password_file = Some(value.to_owned()),
            "nossl" => self.request.plain = value == "true",
            "debug" | "debugonfail" | "traceparent" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `XE_EXTRA_ARGS` is cut at commas; a backslash keeps a comma, and every backslash goes.
pub fn split_extra(extra: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut kept = false;
    for letter in extra.chars() {
        if letter == ',' && !kept {
            if !word.is_empty() {
                words.push(word.replace('\\', ""));
                word.clear();
            }
        } else {
            word.push(letter);
        }
        kept = letter == '\\';
    }
    if !word.is_empty() {
        words.push(word.replace('\\', ""));
    }
    words
}

/// The user on the first line, the password on the second.
pub fn read_password_file(path: &str) -> Result<(String, String), String> {
    let bytes = fs::read(path).map_err(|_| format!("Error opening password file '{path}'\n"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some(username), Some(password)) => Ok((username.to_owned(), password.to_owned())),
        _ => {
            Err("Error: password file format: expecting username on the first line, password on the second \
                  line\n"
                .into())
        }
    }
}
