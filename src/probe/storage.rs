//! How full the SRs are that the host sees. Which of them is which datastore only the front-end knows, whose
//! datastore driver asks for their room itself: here they are attributes of the host, for people.

use super::{Subject, harmless, of_host_or_pool};
use crate::parallel;
use crate::report::Result;
use crate::xe::{Record, Uuid};
use std::collections::HashSet;
use std::fmt::Write;

const FIELDS: [&str; 6] = ["uuid", "name-label", "physical-utilisation", "physical-size", "type", "shared"];

/// `XCP_SR = [ … ]` for each SR for disks, in two calls, side by side. Its name is the administrator's.
pub fn describe(subject: &Subject<'_>) -> Result<String> {
    let (xe, host) = (subject.xe, subject.host.to_string());
    let (seen, lines) = parallel::both(
        || {
            let filters = [("host-uuid", host.as_str()), ("currently-attached", "true")];
            xe.list("pbd", &["host-uuid", "sr-uuid"], of_host_or_pool(xe, &filters), |record| {
                let is_here = record.text("host-uuid") == host;
                Ok(record.optional::<Uuid>("sr-uuid")?.filter(|_| is_here))
            })
        },
        || xe.list("sr", &FIELDS, &[("content-type", "user")], line),
    );
    let seen: HashSet<Uuid> = seen?.into_iter().flatten().collect();
    Ok(lines?.into_iter().filter(|(sr, _)| seen.contains(sr)).map(|(_, line)| line).collect())
}

/// None of what an SR that tells no size has.
fn line(sr: &Record<'_>) -> Result<(Uuid, String)> {
    let mb = |field| sr.text(field).parse::<u64>().map(|bytes| bytes >> 20);
    let uuid: Uuid = sr.get("uuid")?;
    let mut line = String::new();
    if let (Ok(total), Ok(used)) = (mb("physical-size"), mb("physical-utilisation"))
        && total > 0
    {
        let shared = if sr.text("shared") == "true" { "YES" } else { "NO" };
        _ = writeln!(
            line,
            "XCP_SR = [ UUID = \"{uuid}\", NAME = \"{}\", TYPE = \"{}\", SHARED = \"{shared}\", USED_MB = {used}, \
             TOTAL_MB = {total}, FREE_MB = {} ]",
            harmless(sr.text("name-label")),
            harmless(sr.text("type")),
            total.saturating_sub(used)
        );
    }
    Ok((uuid, line))
}
