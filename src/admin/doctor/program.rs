//! Whether `xe` is XAPI's: Debian has an unrelated program of that name.

use super::finding::Finding;
use crate::process;
use crate::report::one_line;
use crate::xe::Xe;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// What XAPI's own usage names (xapi newcli.ml:70), and no other program's.
const SIGN: &str = "-pwf";
const SUBJECT: &str = "xe";

pub fn check(xe: &Xe) -> Finding {
    let name = xe.program.display();
    let said = match process::output(Command::new(&xe.program).arg("--help"), LIMIT) {
        Ok(said) => said,
        Err(why) => return Finding::mend(SUBJECT, format!("{why:#}"), "XE in xcprc names the program"),
    };
    let usage = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    if usage.contains(SIGN) {
        return Finding::fine(SUBJECT, format!("{name} is XAPI's"));
    }
    let first = one_line(usage.lines().next().unwrap_or_default());
    Finding::mend(
        SUBJECT,
        format!("{name} is another program (it says {first:?})"),
        "Debian has one of this name; in dom0 XAPI's is /opt/xensource/bin/xe: set XE in xcprc",
    )
}
