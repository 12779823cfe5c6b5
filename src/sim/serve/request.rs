//! A request as XAPI's HTTP server reads it (xen-api http_svr.ml `read_request_exn`).

use super::answer::{Status, internal, too_large};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{ErrorKind, Read};

const MAX_HEAD_BYTES: usize = 1 << 16;

/// The parts of a request that handlers look at.
#[derive(Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// `1.0`, or `1.1` for all else.
    pub version: String,
    query: Vec<(String, String)>,
    /// Basic authentication.
    pub login: Option<(String, String)>,
    /// What the client wants, as it says it.
    accept: Option<String>,
}

impl Request {
    /// Reads up to the empty line, and not a byte more: after CONNECT the rest is not HTTP.
    pub fn read(from: &mut dyn Read) -> Result<Request, Status> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            match from.read(&mut byte) {
                Ok(1) => head.extend_from_slice(&byte),
                Err(why) if is_pause(&why) => {}
                _ => return Err(internal("End_of_file")),
            }
            if head.len() > MAX_HEAD_BYTES {
                return Err(too_large());
            }
        }
        Request::parse(&String::from_utf8_lossy(&head))
            .ok_or_else(|| internal("The HTTP headers could not be parsed."))
    }

    fn parse(head: &str) -> Option<Request> {
        let mut lines = head.lines();
        let words: Vec<&str> = lines.next()?.split_whitespace().collect();
        let &[method, target, version] = words.as_slice() else { return None };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let version = if version.strip_prefix("HTTP/")? == "1.0" { "1.0" } else { "1.1" };
        let mut request = Request {
            method: method.to_owned(),
            path: decoded(path),
            version: version.to_owned(),
            query: pairs(query, '&').map(|(name, value)| (decoded(name), decoded(value))).collect(),
            login: None,
            accept: None,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "accept" => request.accept = Some(value.to_owned()),
                "authorization" => request.login = login(value),
                "cookie" => {
                    let cookies = pairs(value, ';').map(|(name, value)| (name.to_owned(), value.to_owned()));
                    request.query.splice(..0, cookies);
                }
                _ => {}
            }
        }
        Some(request)
    }

    /// Whether the client prefers JSON to XML (rrdd_http_handler.ml `client_prefers_json`): of types that it likes equally
    /// JSON comes first, `*/*` among them. Without a word of it the query decides.
    pub fn prefers_json(&self) -> bool {
        let has = |kind: &str, of: &str| {
            kind == of
                || kind == "*/*"
                || Some(kind) == of.split_once('/').map(|(ty, _)| format!("{ty}/*")).as_deref()
        };
        let mut liked: Vec<(f64, &str)> = self
            .accept
            .iter()
            .flat_map(|text| text.split(','))
            .map(|part| {
                let (kind, rest) = part.split_once(';').unwrap_or((part, ""));
                let quality = rest.split(';').find_map(|param| param.trim().strip_prefix("q=")?.parse().ok());
                (quality.unwrap_or(1.0), kind.trim())
            })
            .collect();
        liked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let answer = liked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()).find_map(|best| {
            let any = |of: &str| best.iter().any(|(_, kind)| has(kind, of));
            if any("application/json") { Some(true) } else { any("text/xml").then_some(false) }
        });
        answer.unwrap_or_else(|| self.query("json").is_some())
    }

    /// A value of the query, or of a cookie, which counts first (xapi_http.ml `lookup_param_of_req`).
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Whether a read ended only because nothing came for a while.
pub fn is_pause(why: &std::io::Error) -> bool {
    matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn login(value: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_at_its_empty_line() {
        let text = "CONNECT /console?uuid=a%2Db&x HTTP/1.0\r\nAuthorization: Basic cm9vdDphOmI=\r\ncookie: session_id=c\r\n\r\nRFB";
        let mut from = text.as_bytes();
        let request = Request::read(&mut from).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("CONNECT", "/console"));
        assert_eq!(request.version, "1.0");
        assert_eq!(request.query("uuid"), Some("a-b"));
        assert_eq!(request.query("session_id"), Some("c"));
        assert_eq!(request.login, Some(("root".to_owned(), "a:b".to_owned())));
        assert_eq!(from, b"RFB");
    }

    #[test]
    fn json_is_preferred_by_whom_nothing_else_is_asked_for() {
        for (target, accept, json) in [
            ("/", None, false),
            ("/?json=true", None, true),
            ("/", Some("*/*"), true),
            ("/", Some("text/xml"), false),
            ("/?json=true", Some("text/xml, */*;q=0.1"), false),
            ("/", Some("text/*;q=0.5, application/json;q=0.4"), false),
            ("/", Some("text/html"), false),
        ] {
            let header = accept.map_or(String::new(), |accept| format!("Accept: {accept}\r\n"));
            let text = format!("GET {target} HTTP/1.0\r\n{header}\r\n");
            assert_eq!(
                Request::read(&mut text.as_bytes()).unwrap().prefers_json(),
                json,
                "{target} {accept:?}"
            );
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert!(Request::read(&mut &b"hello\r\n\r\n"[..]).is_err());
        assert!(Request::read(&mut &b"GET / HTTP/1.0\r\n"[..]).is_err());
        assert!(Request::read(&mut std::io::repeat(b'a')).is_err());
    }
}
