//! The command line of `xe`: what the client takes for itself, and what the server makes of the rest.

use super::refuse::{Fail, Outcome};
use std::fs;
use std::path::Path;

/// What the client does by itself before it would ask a server (xapi `xe-cli/newcli.ml`).
#[derive(Debug, PartialEq, Eq)]
pub enum Client {
    /// Prints this on standard output and ends well.
    Version,
    /// Prints this before the usage and ends well: `xe` counts that as success.
    Usage(String),
    /// Prints this on standard error and fails.
    Fails(String),
    /// Asks the server.
    Asks(Request),
}

/// Whom the client asks, as whom, and with which words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The server, if one was named.
    pub server: Option<String>,
    pub port: Option<u16>,
    pub plain: bool,
    pub username: Option<String>,
    pub password: Option<String>,
    /// The verb and its parameters, as the server will read them.
    pub words: Vec<String>,
}

/// Sorts out a command line; `extra` is `XE_EXTRA_ARGS`, `defaults` are the settings of `~/.xe`.
pub fn client(args: &[String], extra: &str, defaults: &[String]) -> Client {
    let mut taking = Taking::default();
    let default_words = match taking.all(defaults) {
        Ok(words) => words,
        Err(message) => return Client::Usage(message),
    };
    let extra_words = match taking.all(&split_extra(extra)) {
        Ok(words) => words,
        Err(message) => return Client::Usage(message),
    };
    let asked = args.iter().filter(|arg| !["-help", "--help"].contains(&arg.as_str()));
    let own: Vec<String> = asked.cloned().collect();
    let mut words = match taking.all(&own) {
        Ok(words) => words,
        Err(message) => return Client::Usage(message),
    };
    if own.len() < args.len() {
        return Client::Usage(String::new());
    }
    let mut request = taking.request;
    if let Some(path) = taking.password_file {
        match read_password_file(&path) {
            Ok((username, password)) => {
                request.username = Some(username);
                request.password = Some(password);
            }
            Err(message) => return Client::Fails(message),
        }
    }
    words.extend(extra_words);
    words.extend(default_words);
    match words.first().map(String::as_str) {
        None => Client::Usage(String::new()),
        Some("-version") => Client::Version,
        Some(_) => {
            request.words = resplit(&words);
            Client::Asks(request)
        }
    }
}

/// The settings of the file `.xe` in a home directory, one `name=value` a line, the last first (xapi
/// `xe-cli/options.ml`). A line that is none is told in the error, and none counts.
pub fn defaults(home: &Path) -> Result<Vec<String>, &'static str> {
    let Ok(text) = fs::read_to_string(home.join(".xe")) else { return Ok(Vec::new()) };
    let lines: Vec<String> = text.lines().rev().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if lines.iter().all(|line| line.contains('=')) {
        return Ok(lines);
    }
    Err("Error parsing rc file. No defaults loaded\n")
}

/// The words go to the server as lines: a line break in one makes two of it.
fn resplit(words: &[String]) -> Vec<String> {
    let text = words.join("\n");
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect()
}

/// `XE_EXTRA_ARGS` is cut at commas; a backslash keeps a comma, and every backslash goes.
fn split_extra(extra: &str) -> Vec<String> {
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

#[derive(Default)]
struct Taking {
    request: Request,
    password_file: Option<String>,
}

impl Taking {
    /// Takes the client's own arguments out; gives back the others, or a complaint.
    fn all(&mut self, args: &[String]) -> Result<Vec<String>, String> {
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

/// The user on the first line, the password on the second.
fn read_password_file(path: &str) -> Result<(String, String), String> {
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

/// What `xe` prints of its usage, `program` being the name it was called by.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} <cmd> [-s server] [-p port] ([-u username] [-pw password] or [-pwf <password file>]) \
         [--traceparent traceparent] <other arguments>\n\nA full list of commands can be obtained by running \
         \n\t{program} help -s <server> -p <port>\n"
    )
}

/// A command as the server reads it: a verb and `key=value`s in their order, keys perhaps repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub verb: String,
    pub params: Vec<(String, String)>,
}

impl Command {
    /// Reads the words (xapi `cli_frontend.ml` `parse_commandline`).
    pub fn parse(words: &[String]) -> Outcome<Self> {
        let (verb, words) = words.split_first().ok_or(Fail::Syntax)?;
        if verb.contains('=') {
            return Err(Fail::Syntax);
        }
        let mut params = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some(name) = word.strip_prefix("--") {
                params.push((name.to_owned(), "true".to_owned()));
            } else if word.starts_with('-') {
                let key = match word.as_str() {
                    "-u" => "username",
                    "-pw" => "password",
                    "-s" | "-h" => "server",
                    "-p" => "port",
                    _ => return Err(Fail::Syntax),
                };
                let value = words.next().ok_or(Fail::Syntax)?;
                params.push((key.to_owned(), value.clone()));
            } else {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                params.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(Self { verb: verb.clone(), params })
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Outcome<&str> {
        self.get(name).ok_or_else(|| Fail::NoParameter(name.to_owned()))
    }

    /// A parameter that says yes or no.
    pub fn flag(&self, name: &str, default: bool) -> Outcome<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => boolean(value)
                .map_err(|text| Fail::Record(format!("Failed to parse parameter '{name}': {text}"))),
        }
    }

    /// A size in bytes.
    pub fn bytes(&self, name: &str) -> Outcome<i64> {
        bytes(name, self.need(name)?)
    }

    /// The entries of a map parameter: `name:key=value`, or `name-key=value` as of old.
    pub fn map(&self, name: &str) -> Vec<(&str, &str)> {
        let entries = self.params.iter().filter_map(|(key, value)| {
            let rest = key.strip_prefix(name)?;
            let mut letters = rest.chars();
            letters.next()?;
            let key = letters.as_str();
            (!key.is_empty()).then_some((key, value.as_str()))
        });
        entries.collect()
    }
}

/// Yes or no, as XAPI's command line takes it; the complaint otherwise (xapi `record_util.ml`).
pub fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err(format!("Expected 'true','t','yes','y','1','false','f','no','n','0' got {value}")),
    }
}

/// An integer with a unit, in bytes (xapi `record_util.ml` `bytes_of_string`).
pub fn bytes(field: &str, value: &str) -> Outcome<i64> {
    let parse = || {
        let plain = value.trim_start();
        let end = plain.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(plain.len());
        let (number, unit) = plain.split_at(end);
        let scale: i64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" | "bytes" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1 << 40,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(scale)
    };
    parse().ok_or_else(|| {
        Fail::Record(format!(
            "Failed to parse field '{field}': expecting an integer (possibly with suffix KiB, MiB, GiB, TiB), \
             got '{value}'"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|&word| word.to_owned()).collect()
    }

    fn asks(line: &[&str], extra: &str) -> Request {
        match client(&words(line), extra, &[]) {
            Client::Asks(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_client_keeps_its_own_arguments_wherever_they_stand() {
        let request =
            asks(&["vm-list", "port=80", "-s", "h", "--minimal", "username=u", "-pw", "p", "uuid=x"], "");
        assert_eq!(request.words, ["vm-list", "--minimal", "uuid=x"]);
        assert_eq!(request.server.as_deref(), Some("h"));
        assert_eq!((request.username.as_deref(), request.password.as_deref()), (Some("u"), Some("p")));
        assert_eq!(request.port, Some(80));
    }

    #[test]
    fn extra_arguments_come_last_and_lose() {
        let request = asks(&["-pw", "x", "vm-list"], "-s,h,password=y\\,z,--minimal");
        assert_eq!(request.password.as_deref(), Some("x"));
        assert_eq!(request.words, ["vm-list", "--minimal"]);
        assert_eq!(split_extra("a\\,b,c"), ["a,b", "c"]);
    }

    #[test]
    fn the_settings_of_a_file_lose_to_everything() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(defaults(home.path()), Ok(Vec::new()));
        fs::write(home.path().join(".xe"), "server=h\n\npassword=z\nminimal=true\n").unwrap();
        let found = defaults(home.path()).unwrap();
        let Client::Asks(request) = client(&words(&["vm-list"]), "password=y", &found) else { panic!() };
        assert_eq!(request.words, ["vm-list", "minimal=true"]);
        assert_eq!((request.server.as_deref(), request.password.as_deref()), (Some("h"), Some("y")));
        fs::write(home.path().join(".xe"), "server=h\n# a comment\n").unwrap();
        assert!(defaults(home.path()).is_err());
    }

    #[test]
    fn a_line_break_begins_another_argument() {
        let request = asks(&["vm-param-set", "name-label=two\r\nlines"], "");
        assert_eq!(request.words, ["vm-param-set", "name-label=two", "lines"]);
    }

    #[test]
    fn usage_and_version_need_no_server() {
        assert_eq!(client(&[], "", &[]), Client::Usage(String::new()));
        assert_eq!(client(&words(&["vm-list", "--help"]), "", &[]), Client::Usage(String::new()));
        assert!(
            matches!(client(&words(&["-p", "abc", "x"]), "", &[]), Client::Usage(text) if text.contains("Port"))
        );
        assert_eq!(client(&words(&["-version"]), "", &[]), Client::Version);
    }

    #[test]
    fn the_server_reads_keys_values_and_switches() {
        let command = Command::parse(&words(&["v", "a=b=c", "--x", "bare", "-u", "me"])).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            command.params,
            [pair("a", "b=c"), pair("x", "true"), pair("bare", ""), pair("username", "me")]
        );
        assert_eq!(Command::parse(&words(&["v", "-x", "y"])), Err(Fail::Syntax));
        assert_eq!(Command::parse(&words(&["v=w"])), Err(Fail::Syntax));
    }

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(bytes("f", "2GiB"), Ok(2 << 30));
        assert_eq!(bytes("f", "3 k"), Ok(3072));
        for bad in ["-1", "1.5GiB", "12XB", "abc", ""] {
            assert!(bytes("f", bad).is_err(), "{bad}");
        }
    }
}
