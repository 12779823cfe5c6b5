//! What `xe` says when it fails, as a code to decide on and words for the user.

use std::fmt;

/// A failed `xe` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XeError {
    /// XAPI's code (`VM_BAD_POWER_STATE`), where `xe` gave one.
    pub code: Option<String>,
    /// The code's parameters, as XAPI gave them (uuids may be opaque references).
    pub params: Vec<String>,
    /// What `xe` printed, in one line.
    pub words: String,
}

/// Sentences of releases whose `xe` prints no code even with `--trace` (before 2014, XCP 1.6 and older),
/// and of failures that come before tracing begins.
const PROSE: [(&str, &str); 10] = [
    ("No matching VMs found", "UUID_INVALID"),
    ("The uuid you supplied was invalid", "UUID_INVALID"),
    ("You attempted an operation on a VM that was not in an appropriate power state", "VM_BAD_POWER_STATE"),
    ("The operation could not be performed because the VDI is in use", "VDI_IN_USE"),
    ("The host is still booting", "HOST_STILL_BOOTING"),
    ("Another operation involving the object is currently in progress", "OTHER_OPERATION_IN_PROGRESS"),
    ("VM lacks the feature", "VM_LACKS_FEATURE"),
    ("The VM requires an SR", "VM_REQUIRES_SR"),
    ("You cannot make regular API calls directly on a", "HOST_IS_SLAVE"),
    ("Authentication failed", "SESSION_AUTHENTICATION_FAILED"),
];

/// What `xe` adds to its own refusals (xapi-cli-server cli_frontend).
const USAGE: &str = "For usage run: 'xe help'";

/// `xe`'s ways of saying that no XAPI answers (newcli.ml).
const UNREACHABLE: [&str; 4] =
    ["Connection refused", "Lost connection to the server", "Unable to contact server", "No addrinfo found"];

impl XeError {
    /// Reads what a failed `xe … --trace` printed on standard error.
    pub fn parse(stderr: &str) -> XeError {
        let (prose, trace) = match stderr.split_once("Raised ") {
            Some((prose, trace)) if prose.is_empty() || prose.ends_with('\n') => (prose, trace),
            _ => (stderr, ""),
        };
        let words = prose.split_whitespace().collect::<Vec<_>>().join(" ");
        // It points people at another command's help.
        let words = words.trim_end_matches(USAGE).trim_end().to_owned();
        let (code, params) = raised(trace)
            .or_else(|| labelled(prose))
            .or_else(|| known_prose(&words))
            .map_or((None, Vec::new()), |(code, params)| (Some(code), params));
        XeError { code, params, words }
    }

    /// Whether `xe` gave one of these codes.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// The object is not there any more: for an undo or a removal as good as done.
    pub fn is_gone(&self) -> bool {
        self.is(&["HANDLE_INVALID", "UUID_INVALID", "OBJECT_NOLONGER_EXISTS"])
            || self.words.contains("No matching VMs found")
    }

    /// Refused before anything was done, by something that passes: safe to ask again, whatever the verb.
    pub fn is_passing_refusal(&self) -> bool {
        self.is(&[
            "HOST_STILL_BOOTING",
            "OTHER_OPERATION_IN_PROGRESS",
            "TOO_MANY_PENDING_TASKS",
            "TOO_MANY_STORAGE_MIGRATES",
        ]) || self.words.contains("Connection refused")
    }

    /// No XAPI answers, or one that has just begun, as while its toolstack restarts: nothing was done.
    pub fn is_xapi_away(&self) -> bool {
        self.is(&["HOST_STILL_BOOTING"])
            || ["Connection refused", "Unable to contact server"]
                .iter()
                .any(|start| self.words.contains(start))
    }

    /// XAPI has the VDI's record, and its storage does not find the volume (sm `VDIUnavailable`).
    pub fn is_lost_volume(&self) -> bool {
        self.is(&["SR_BACKEND_FAILURE_46"])
    }

    /// What the administrator can do where XAPI could not be asked at all, or has forgotten what it did.
    pub fn advice(&self) -> Option<&'static str> {
        if self.is(&["SESSION_AUTHENTICATION_FAILED"]) {
            return Some(
                "correct the user and password in XE_PASSWORD_FILE (of another pool: REMOTE_PASSWORD_FILE); on a \
                 host itself root needs none",
            );
        }
        if self.is_lost_volume() {
            return Some(
                "an XAPI that was killed knows VDIs again that were removed in the minutes before: with the SR in \
                 order, xe sr-scan uuid=SR takes them away; then do this again, or give the VM up with one-xcp cancel \
                 DEPLOY_ID --discard",
            );
        }
        let is_unreachable = UNREACHABLE.iter().any(|start| self.words.contains(start));
        is_unreachable.then_some(
            "see whether XAPI runs on the host (xe-toolstack-restart starts it again) and, with XE_SERVER, whether \
             its port 443 can be reached",
        )
    }

    /// The connection broke under the call: what it asked for may or may not have happened.
    pub fn is_lost_connection(&self) -> bool {
        self.words.contains("Lost connection to the server") || self.words.contains("Broken pipe")
    }
}

impl fmt::Display for XeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.words.as_str()) {
            (Some(code), "") => write!(f, "{code} {:?}", self.params),
            (Some(code), words) if words.contains(code.as_str()) => f.write_str(words),
            (Some(code), words) => write!(f, "{} ({code})", words.trim_end_matches('.')),
            (None, "") => f.write_str("it failed without a word"),
            (None, words) => f.write_str(words),
        }
    }
}

impl std::error::Error for XeError {}

/// `Server_error(CODE, [ a; b ])`, the form of `--trace` (xapi api_errors.ml).
fn raised(trace: &str) -> Option<(String, Vec<String>)> {
    let (code, rest) = trace.strip_prefix("Server_error(")?.split_once(", [")?;
    let list = rest.split_once("])").map_or(rest, |(list, _)| list);
    let params = list.split(';').map(str::trim).filter(|param| !param.is_empty()).map(str::to_owned);
    Some((code.trim().to_owned(), params.collect()))
}

/// `Error code: CODE` and `Error parameters: a, b`: codes that `xe` has no sentence for.
fn labelled(prose: &str) -> Option<(String, Vec<String>)> {
    let code = prose.lines().find_map(|line| line.strip_prefix("Error code: "))?.trim();
    let params = prose.lines().find_map(|line| line.strip_prefix("Error parameters: ")).unwrap_or_default();
    Some((code.to_owned(), params.split(", ").map(|param| param.trim().to_owned()).collect()))
}

fn known_prose(words: &str) -> Option<(String, Vec<String>)> {
    let words = words.strip_prefix("Error: ").unwrap_or(words);
    let (_, code) = PROSE.iter().find(|(start, _)| words.starts_with(start))?;
    // The only parameter of a failed login that anything depends on: whom to ask instead.
    let coordinator = words.split_once("Master IP address: ").map(|(_, address)| address.trim().to_owned());
    Some(((*code).to_owned(), coordinator.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::XeError;

    #[test]
    fn a_traced_error_has_its_code() {
        let error = XeError::parse(
            "The specified host is disabled.\nhost: 1 (xcp-b)\nRaised Server_error(HOST_DISABLED, [ OpaqueRef:1 ])\nBacktrace:\n1/1 xapi\n",
        );
        assert_eq!((error.code.as_deref(), error.params.len()), (Some("HOST_DISABLED"), 1));
        assert_eq!(error.to_string(), "The specified host is disabled. host: 1 (xcp-b) (HOST_DISABLED)");
    }

    #[test]
    fn a_code_without_a_sentence_is_read_from_its_label() {
        let error = XeError::parse(
            "Error code: SR_BACKEND_FAILURE_44\nError parameters: , There is insufficient space, \n",
        );
        assert_eq!(error.code.as_deref(), Some("SR_BACKEND_FAILURE_44"));
        assert!(!error.to_string().contains("(SR_BACKEND_FAILURE_44)"), "{error}");
    }

    #[test]
    fn prose_of_old_releases_and_of_failed_logins_has_a_code_too() {
        assert!(XeError::parse("Error: No matching VMs found\n").is_gone());
        let member = XeError::parse(
            "You cannot make regular API calls directly on a supporter. Please pass API calls via the coordinator host.\nMaster IP address: 192.168.10.1\n",
        );
        assert!(member.is(&["HOST_IS_SLAVE"]));
        assert_eq!(member.params, ["192.168.10.1"]);
        assert_eq!(XeError::parse("something new\n").code, None);
    }

    #[test]
    fn who_cannot_ask_xapi_at_all_is_told_what_to_do() {
        let login = XeError::parse("Authentication failed\nFor usage run: 'xe help'\n");
        assert_eq!(login.to_string(), "Authentication failed (SESSION_AUTHENTICATION_FAILED)");
        assert!(login.advice().unwrap().contains("XE_PASSWORD_FILE"));
        let down = XeError::parse("Error: Connection refused (calling connect )\n");
        assert!(down.advice().unwrap().contains("xe-toolstack-restart"));
        assert_eq!(XeError::parse("The host is full.\n").advice(), None);
        let lost = XeError::parse(
            "Error code: SR_BACKEND_FAILURE_46\nError parameters: , The VDI is not available, \n",
        );
        assert!(lost.advice().unwrap().contains("xe sr-scan"));
    }

    #[test]
    fn a_tenants_text_cannot_pass_for_a_code() {
        let error = XeError::parse("The VM is bad.\nvm: 1 (x Raised Server_error(HANDLE_INVALID, [ a ]))\n");
        assert_eq!(error.code, None);
    }
}
