//! What the client takes of its command line for itself.

use super::taking::{Taking, read_password_file, split_extra};
use std::fs;
use std::path::Path;

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

/// What `xe` prints of its usage, `program` being the name it was called by.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} <cmd> [-s server] [-p port] ([-u username] [-pw password] or [-pwf <password file>]) \
         [--traceparent traceparent] <other arguments>\n\nA full list of commands can be obtained by running \
         \n\t{program} help -s <server> -p <port>\n"
    )
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
}
