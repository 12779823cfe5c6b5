//! Whether two outputs say the same, byte for byte but for names, times and xapi's hash order.

use crate::names::{Names, Piece, pieces};

/// The time of something that never happened; any other time is taken for any other.
const NEVER: &str = "19700101T00:00:00Z";

/// Compares what was recorded with what the simulator said and learns names from it.
pub fn same(recorded: &str, simulated: &str, minimal: bool, names: &mut Names) -> bool {
    let recorded = without_backtrace(recorded);
    let simulated = without_backtrace(simulated);
    if recorded.contains("\n\n\n") {
        let list = |text: &str| text.split_inclusive("\n\n\n").map(str::to_owned).collect::<Vec<_>>();
        return same_multiset(&list(&recorded), &list(&simulated), names, &same_record);
    }
    if minimal && recorded.contains(',') {
        let list = |text: &str| {
            text.split(',').map(|item| item.trim_end_matches('\n').to_owned()).collect::<Vec<_>>()
        };
        return simulated.ends_with('\n')
            && same_multiset(&list(&recorded), &list(&simulated), names, &same_text);
    }
    same_record(&recorded, &simulated, names)
}

/// A backtrace's lines are places in xapi's source and threads of that run.
fn without_backtrace(text: &str) -> String {
    match text.split_once("Backtrace:\n") {
        Some((before, _)) => format!("{before}Backtrace:\n"),
        None => text.to_owned(),
    }
}

type Same<'a> = &'a dyn Fn(&str, &str, &mut Names) -> bool;

/// Pairs the items, those with the fewest unknown names first. Where an item fits several others equally
/// well, nothing is learnt from it.
fn same_multiset(recorded: &[String], simulated: &[String], names: &mut Names, same: Same) -> bool {
    if recorded.len() != simulated.len() {
        return false;
    }
    let mut recorded: Vec<&String> = recorded.iter().collect();
    recorded.sort_by_key(|item| unknown(item, names));
    let mut taken = vec![false; simulated.len()];
    for item in recorded {
        let mut fitting: Vec<(usize, Names)> = Vec::new();
        for (index, candidate) in simulated.iter().enumerate() {
            let mut tried = names.clone();
            if same(item, candidate, &mut tried) {
                fitting.push((index, tried));
            }
        }
        let Some(fewest) = fitting.iter().map(|(_, learnt)| learnt.count()).min() else { return false };
        fitting.retain(|(_, learnt)| learnt.count() == fewest);
        let Some(&(index, _)) = fitting.iter().find(|&&(index, _)| !taken[index]) else { return false };
        taken[index] = true;
        if let [(_, learnt)] = &fitting[..] {
            *names = learnt.clone();
        }
    }
    true
}

fn unknown(text: &str, names: &Names) -> usize {
    pieces(text).iter().filter(|piece| matches!(piece, Piece::Name(name) if !names.knows(name))).count()
}

/// Headings of texts whose lines come in the order of XAPI's hash tables.
const UNORDERED: [&str; 4] = [
    "The following items are about to be destroyed",
    "There are no suitable hosts",
    "Checking to see whether VM can boot",
    "xcp-host",
];

/// Line by line, or as a set of lines where the order means nothing.
fn same_record(recorded: &str, simulated: &str, names: &mut Names) -> bool {
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (recorded_lines, simulated_lines) = (lines(recorded), lines(simulated));
    if UNORDERED.iter().any(|heading| recorded.starts_with(heading)) {
        let unpadded = |lines: Vec<String>| lines.iter().map(|line| unpadded(line)).collect::<Vec<_>>();
        return same_multiset(&unpadded(recorded_lines), &unpadded(simulated_lines), names, &same_text);
    }
    recorded_lines.len() == simulated_lines.len()
        && recorded_lines.iter().zip(&simulated_lines).all(|(recorded, simulated)| {
            match (uuid_set(recorded), uuid_set(simulated)) {
                (Some((label, uuids)), Some((other_label, other_uuids))) => {
                    label == other_label && same_multiset(&uuids, &other_uuids, names, &same_text)
                }
                _ => same_text(recorded, simulated, names),
            }
        })
}

/// A row of a table without the blanks around its label: they depend on which row comes first.
fn unpadded(line: &str) -> String {
    match line.split_once(':') {
        Some((label, value)) => format!("{}:{value}", label.trim()),
        None => line.to_owned(),
    }
}

/// What stands before the first uuid and all uuids of a line such as `VBDs (SRO): UUID; UUID`.
fn uuid_set(line: &str) -> Option<(&str, Vec<String>)> {
    let first = pieces(line).into_iter().find_map(|piece| match piece {
        Piece::Name(name) => line.find(name),
        _ => None,
    })?;
    let (label, value) = line.split_at(first);
    let members: Vec<String> = value
        .trim_end_matches('\n')
        .split(&[';', ','])
        .map(|member| member.trim_start().to_owned())
        .collect();
    let all_uuids = members.iter().all(|member| matches!(pieces(member)[..], [Piece::Name(_)]));
    (members.len() > 1 && all_uuids).then_some((label, members))
}

/// Piece by piece.
fn same_text(recorded: &str, simulated: &str, names: &mut Names) -> bool {
    let (recorded, simulated) = (steady(recorded), steady(simulated));
    let (recorded, simulated) = (pieces(&recorded), pieces(&simulated));
    recorded.len() == simulated.len()
        && recorded.iter().zip(simulated).all(|(&recorded, simulated)| match (recorded, simulated) {
            (Piece::Name(recorded), Piece::Name(simulated)) => names.bind(recorded, simulated),
            (Piece::Time(recorded), Piece::Time(simulated)) => (recorded == NEVER) == (simulated == NEVER),
            (recorded, simulated) => recorded == simulated,
        })
}

/// A host's start times are seconds since 1970, not dates; the number in `Disk 0 VBD:` follows the order;
/// guests of the recorded pool made their addresses from the number of their domain.
fn steady(text: &str) -> String {
    let digit = |letter: char| letter.is_ascii_digit();
    for key in ["agent_start_time: ", "boot_time: ", "Disk ", "CD ", ": 10.0."] {
        if let Some((before, value)) = text.split_once(key)
            && value.starts_with(digit)
        {
            return format!("{}{key}#{}", steady(before), steady(value.trim_start_matches(digit)));
        }
    }
    if let Some((before, value)) = text.split_once(":00ff:fe") {
        return format!(
            "{before}:00ff:##{}",
            value.trim_start_matches(|letter: char| letter.is_ascii_hexdigit())
        );
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-4000-8000-000000000000";
    const B: &str = "bbbbbbbb-0000-4000-8000-000000000000";
    const C: &str = "cccccccc-0000-4000-8000-000000000000";

    fn agree(recorded: &str, simulated: &str) -> bool {
        same(recorded, simulated, false, &mut Names::default())
    }

    #[test]
    fn names_map_one_to_one() {
        assert!(agree(&format!("{A} {B} {A}"), &format!("{B} {C} {B}")));
        assert!(!agree(&format!("{A} {B}"), &format!("{C} {C}")));
        assert!(!agree(&format!("{A} {A}"), &format!("{B} {C}")));
        assert!(!agree("a 1\n", "a 2\n"));
    }

    #[test]
    fn times_agree_unless_one_is_never() {
        assert!(agree("20261122T22:37:50Z", "20260101T00:00:00Z"));
        assert!(!agree("20261122T22:37:50Z", NEVER));
    }

    #[test]
    fn lists_are_multisets() {
        let list = |first: &str, second: &str| format!("x: {first}\n\n\nx: {second}\n\n\n");
        assert!(agree(&list("1", "2"), &list("2", "1")));
        assert!(!agree(&list("1", "1"), &list("2", "1")));
        let mut names = Names::default();
        assert!(same(&format!("{A},{B}\n"), &format!("{B},{C}\n"), true, &mut names));
        assert_eq!(names.count(), 0);
        assert!(agree(&format!("VBDs (SRO): {A}; {B}\n"), &format!("VBDs (SRO): {B}; {C}\n")));
        assert!(!agree(&format!("VBDs (SRO): {A}; {B}\n"), &format!("VBDs (SRO): {B}\n")));
    }

    #[test]
    fn host_tables_have_no_order() {
        assert!(agree("xcp-host2    : OK\n    xcp-host1: no\n", "xcp-host1    : no\n    xcp-host2: OK\n"));
    }
}
