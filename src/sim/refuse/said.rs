//! What `xe` prints when a call fails (xapi `xapi_cli.ml` `exception_handler`).

use super::{Fail, Param};
use crate::sim::documented::documented;
use std::fmt::Write as _;

/// What goes to the terminal when a call fails.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
}

impl Fail {
    /// What `xe` prints of it; `trace` as with `--trace`.
    pub fn said(&self, trace: bool) -> Said {
        let usage = "For usage run: 'xe help'\n";
        let mut said = Said::default();
        said.stderr = match self {
            Self::Server { code, .. } if code == "SESSION_AUTHENTICATION_FAILED" => {
                format!("Authentication failed\n{usage}")
            }
            Self::Server { code, params } => sentence(code, params),
            Self::Cli(text) | Self::Record(text) => format!("Error: {text}\n"),
            Self::NoParameter(name) => format!("Required parameter not found: {name}\n{usage}"),
            Self::NoCommand(name) => format!("Unknown command: {name}\n{usage}"),
            Self::Syntax => format!("Syntax error: \n{usage}"),
            Self::NoField(name) => format!("Error code: Missing parameter\nError parameters: {name}\n"),
            Self::Login => format!("Authentication failed\n{usage}"),
            Self::Client(text) => text.clone(),
            Self::Simulator(text) => format!("xe (simulated): {text}\n"),
            Self::Multiple(failures) => {
                for (uuid, message) in failures {
                    let _ = writeln!(said.stdout, "operation failed on {uuid}: {message}");
                }
                String::new()
            }
        };
        if let (true, Some(raised)) = (trace, self.raised()) {
            let _ = writeln!(said.stderr, "Raised {raised}\nBacktrace:");
        }
        said
    }

    /// The message that `--multiple` puts beside the uuid.
    pub fn message(&self) -> String {
        match self {
            Self::Server { code, params } => match documented(code) {
                Some((_, doc, names)) => format!("{doc}\n{}", named(names, params).join("\n")),
                None => self.raised().unwrap_or_default(),
            },
            _ => self.raised().unwrap_or_default(),
        }
    }

    fn raised(&self) -> Option<String> {
        Some(match self {
            Self::Server { code, params } => {
                let raw: Vec<&str> = params.iter().map(|param| param.raw.as_str()).collect();
                format!("Server_error({code}, [ {} ])", raw.join("; "))
            }
            Self::Cli(text) => format!("Cli_util.Cli_failure({text:?})"),
            Self::Record(text) => format!("Record_util.Record_failure({text:?})"),
            Self::NoParameter(name) => format!("Cli_frontend.ParamNotFound({name:?})"),
            Self::NoCommand(name) => format!("Xapi_cli.Unknown_command({name:?})"),
            Self::NoField(name) => format!("Records.CLI_failed_to_find_param({name:?})"),
            Self::Login => {
                "Server_error(SESSION_AUTHENTICATION_FAILED, [ root; Authentication failure ])".into()
            }
            Self::Syntax | Self::Multiple(_) | Self::Client(_) | Self::Simulator(_) => return None,
        })
    }
}

fn sentence(code: &str, params: &[Param]) -> String {
    let Some((_, doc, names)) = documented(code) else {
        let shown: Vec<&str> = params.iter().map(|param| param.shown.as_str()).collect();
        return format!("Error code: {code}\nError parameters: {}\n", shown.join(", "));
    };
    let mut text = format!("{doc}\n");
    for line in named(names, params) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn named(names: &[&str], params: &[Param]) -> Vec<String> {
    let known = names.iter().enumerate().map(|(at, name)| {
        format!("{name}: {}", params.get(at).map_or("<unknown>", |param| param.shown.as_str()))
    });
    known.chain(params.iter().skip(names.len()).map(|param| format!("<extra>: {}", param.shown))).collect()
}

#[cfg(test)]
mod tests {
    use crate::sim::refuse::{Param, refused};

    #[test]
    fn a_documented_code_is_told_in_words() {
        let fail = refused(
            "VDI_IN_USE",
            vec![Param::object("b2382b93-de37-42f1-8190-69aad1c00456", Some("d1")), Param::text("destroy")],
        );
        let said = fail.said(true);
        assert_eq!(
            said.stderr,
            "This operation cannot be performed because this VDI is in use by some other operation\n\
             vdi: b2382b93-de37-42f1-8190-69aad1c00456 (d1)\noperation: destroy\n\
             Raised Server_error(VDI_IN_USE, [ OpaqueRef:018b1028-e584-f1ca-ba23-d299ea733f6d; destroy ])\n\
             Backtrace:\n"
        );
    }

    #[test]
    fn missing_parameters_are_unknown_and_surplus_ones_extra() {
        let fail = refused("VDI_IN_USE", vec![Param::text("v")]);
        assert!(fail.said(false).stderr.ends_with("vdi: v\noperation: <unknown>\n"));
        let fail = refused("VDI_COPY_FAILED", vec![Param::text("")]);
        assert_eq!(fail.said(false).stderr, "The VDI copy action has failed\n<extra>: \n");
    }

    #[test]
    fn another_code_is_told_as_it_is() {
        let full = ["", "There is insufficient space", ""].map(Param::text);
        let said = refused("SR_BACKEND_FAILURE_44", full.into()).said(true);
        assert_eq!(
            said.stderr,
            "Error code: SR_BACKEND_FAILURE_44\nError parameters: , There is insufficient space, \n\
             Raised Server_error(SR_BACKEND_FAILURE_44, [ ; There is insufficient space;  ])\nBacktrace:\n"
        );
    }
}
