//! What XAPI's HTTP server says when it does not do what it was asked (xen-api http_svr.ml).

use std::fmt::Write as _;
use std::io::Write;

/// A refusal: its line, what else stands in its head, and its page.
#[derive(Debug)]
pub struct Status {
    code: u16,
    reason: &'static str,
    header: String,
    /// None: a head without a page, as handlers write it themselves (http.ml `http_404_missing`).
    page: Option<String>,
}

impl Status {
    /// Writes it; a client that is gone need not hear it.
    pub fn write(&self, to: &mut dyn Write, version: &str) {
        // Handlers that write a head by themselves always say 1.1.
        let version = if self.page.is_some() { version } else { "1.1" };
        let mut text = format!("HTTP/{version} {} {}\r\n", self.code, self.reason);
        match &self.page {
            Some(page) => {
                let length = page.len();
                _ = write!(
                    text,
                    "{}connection: close\r\ncache-control: no-cache, no-store\r\ncontent-length: {length}\r\n\r\n{page}",
                    self.header
                );
            }
            None => text += "Connection: close\r\nCache-Control: no-cache, no-store\r\n\r\n",
        }
        _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    }
}

fn page(code: u16, reason: &'static str, body: &str) -> Status {
    let header = "content-type: text/html\r\n".to_owned();
    Status { code, reason, header, page: Some(format!("<html><body>{body}</body></html>")) }
}

/// A handler raised an exception.
pub fn internal(exception: &str) -> Status {
    page(
        500,
        "Internal Error",
        &format!(
            "<h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a while and try again. If \
             the problem persists, please contact your support representative.<h1> Additional information </h1>{exception}"
        ),
    )
}

/// Wrong user or password, or none.
pub fn unauthorised(realm: &str) -> Status {
    let mut status =
        page(401, "Unauthorised", "<h1>HTTP 401 unauthorised</h1>Please check your credentials and retry.");
    _ = write!(status.header, "WWW-Authenticate: Basic realm=\"{realm}\"\r\n");
    status
}

/// No handler goes by this name.
pub fn forbidden() -> Status {
    page(403, "Forbidden", "<h1>HTTP 403 forbidden</h1>Access to the requested resource is forbidden.")
}

/// No handler at all takes this method.
pub fn not_implemented(method: &str) -> Status {
    let body = format!("<h1>HTTP 501 Method Not Implemented</h1><p>{method} not supported.<br /></p>");
    page(501, "Method not implemented", &body)
}

/// A head that is longer than XAPI takes.
pub fn too_large() -> Status {
    page(
        431,
        "Request Header Fields Too Large",
        "<h1>HTTP 431 request header fields too large</h1>Exceeded the maximum header size.",
    )
}

/// The web server has no such page.
pub fn missing() -> Status {
    Status { code: 404, reason: "Not Found", header: String::new(), page: None }
}

/// A request without what its handler needs.
pub fn bad_request() -> Status {
    Status { code: 400, reason: "Bad Request", header: String::new(), page: None }
}
