//! XAPI's measurements of a host and all its VMs, in one answer to `GET /rrd_updates`:
//! `xe` never puts them into a list (xapi-rrd rrd_updates.ml, xcp-rrdd rrdd_http_handler.ml).

mod legend;

use super::counters::Counters;
use crate::report::Result;
use crate::xapi::Xapi;
use anyhow::{Context, bail, ensure};
use legend::{Entry, entry};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::io::BufRead;

/// 10,000 VMs with 20 figures each, for ten minutes.
const MAX_BYTES: u64 = 1 << 30;
/// Measured every 5 s and kept for ten minutes, every minute and kept for two hours (xcp-rrdd rrdd_monitor.ml).
const FINE: (u64, u64) = (5, 600);
const COARSE: (u64, u64) = (60, 7200);
/// Without an earlier round: enough for one measurement.
const FIRST_SECONDS: u64 = 10;
/// What is kept for longest is measured every day.
const LONGEST_STEP_SECONDS: f64 = 86_400.0;

/// Adds what was measured since the last time. `now` is in seconds since 1970.
pub fn add_to(counters: &mut Counters, xapi: &Xapi, now: u64) -> Result<()> {
    add_from(counters, now, |start, interval| {
        let target = format!("/rrd_updates?start={start}&interval={interval}&cf=AVERAGE&host=true");
        xapi.get(&target, MAX_BYTES)
    })
}

/// The same of what `ask` gives for a start and an interval.
fn add_from<R: BufRead>(
    counters: &mut Counters,
    now: u64,
    ask: impl FnOnce(u64, u64) -> Result<R>,
) -> Result<()> {
    let (start, interval) = since(counters.last_time(), counters.clock_there(now));
    let added = ask(start, interval).and_then(|document| {
        counters.begin(start);
        read(counters, document, start).context("/rrd_updates")
    });
    if added.is_ok() {
        counters.compare_clocks(now);
    }
    counters.end();
    added
}

/// From when on, and how fine, to ask.
fn since(last: u64, now: u64) -> (u64, u64) {
    let (fine, fine_span) = FINE;
    let (coarse, coarse_span) = COARSE;
    // The clock was set back, or this is the first time.
    if last == 0 || last > now {
        return (now.saturating_sub(FIRST_SECONDS), fine);
    }
    if now - last <= fine_span { (last, fine) } else { (last.max(now.saturating_sub(coarse_span)), coarse) }
}

/// Streams the document: it holds one value for each figure of each VM and each 5 s. What was measured up to
/// `after` is left out: the first row may be one that was counted already.
fn read(counters: &mut Counters, document: impl BufRead, after: u64) -> Result<()> {
    let mut reader = Reader::from_reader(document);
    let mut buffer = Vec::new();
    let mut text = String::new();
    let mut columns: Vec<Option<Entry>> = Vec::new();
    let (mut step, mut time, mut column) = (5.0, 0, 0);
    let mut complete = false;
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).context("the answer is not XML")? {
            Event::Start(element) => {
                text.clear();
                if element.name().as_ref() == "row" {
                    (time, column) = (0, 0);
                }
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::End(element) => match element.name().as_ref() {
                "step" => {
                    step = text.trim().parse().context("step")?;
                    ensure!(step > 0.0 && step <= LONGEST_STEP_SECONDS, "step is {step} seconds");
                }
                "entry" => columns.push(entry(&text)),
                "t" => time = text.trim().parse().context("t")?,
                "v" => {
                    if let Some(Some((owner, figure))) = columns.get(column)
                        && time > after
                    {
                        let rate = text.trim().parse().unwrap_or(f64::NAN);
                        counters.add(owner, *figure, rate, time, step);
                    }
                    column += 1;
                }
                "xport" => complete = true,
                _ => {}
            },
            Event::Eof if complete => return Ok(()),
            Event::Eof => bail!("the answer ends early"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::counters::Figure;
    use super::*;
    use crate::xe::Uuid;
    use std::fmt::Write as _;

    const VM: &str = "11111111-2222-4333-8444-555555555555";

    fn document(rows: &[(u64, &str)]) -> String {
        let names = ["vm:cpu0", "vm:cpu1", "vm:vif_0_rx", "vm:vif_0_rx_errors", "vm:vbd_xvda_iops_read"];
        let mut entries = String::new();
        for name in names {
            _ = write!(entries, "<entry>AVERAGE:{}</entry>", name.replace(':', &format!(":{VM}:")));
        }
        let mut text = String::new();
        for (time, values) in rows {
            _ = write!(text, "<row><t>{time}</t><v>{}</v></row>", values.replace(' ', "</v><v>"));
        }
        format!(
            "<xport><meta><start>0</start><step>5</step><legend>{entries}</legend></meta><data>{text}</data></xport>"
        )
    }

    #[test]
    fn rates_add_up_and_no_row_counts_twice() {
        let vm: Uuid = VM.parse().unwrap();
        let mut counters = Counters::default();
        counters.begin(1000);
        let text = document(&[(1010, "0.5 0.25 100.0 9 2.0"), (1005, "0.1 0.15 NaN 9 2.0")]);
        read(&mut counters, text.as_bytes(), 1000).unwrap();
        assert_eq!(counters.last_time(), 1010);
        assert_eq!(counters.count(&vm, Figure::NetRx), Some(500));
        assert_eq!(counters.count(&vm, Figure::DiskRdIops), Some(20));
        assert_eq!(counters.count(&vm, Figure::NetTx), None);
        assert_eq!(counters.cpu_percent(&vm).map(f64::round), Some(50.0));
        counters.begin(1010);
        read(&mut counters, document(&[(1015, "1 0 -7 0 0"), (1010, "0.5 0 100 0 0")]).as_bytes(), 1010)
            .unwrap();
        assert_eq!(counters.count(&vm, Figure::NetRx), Some(500));
        assert_eq!(counters.cpu_percent(&vm), Some(100.0));
    }

    #[test]
    fn a_clock_that_jumps_takes_nothing_away() {
        let vm: Uuid = VM.parse().unwrap();
        let mut counters = Counters::default();
        // Far into the future, back, and on from there; each round measures 5 s of 100 bytes a second.
        for (round, now) in (1_u64..).zip([1000, 900_000_000, 1010, 1020]) {
            let (start, _) = since(counters.last_time(), now);
            counters.begin(start);
            let text = document(&[(now, "0.5 0 100 0 0")]);
            read(&mut counters, text.as_bytes(), start).unwrap();
            counters.end();
            assert_eq!(counters.count(&vm, Figure::NetRx), Some(500 * round), "at {now}");
            assert_eq!(counters.cpu_percent(&vm), Some(50.0), "at {now}");
            assert_eq!(counters.last_time(), now);
            counters = Counters::load(&counters.save());
            counters.begin(now);
            counters.end();
        }
    }

    /// Seen from the front-end the host's clock is another.
    #[test]
    fn a_host_whose_clock_is_ahead_of_ours_is_counted_once() {
        let vm: Uuid = VM.parse().unwrap();
        for there in [2995_u64, 3000, 3045, 3900] {
            let mut counters = Counters::default();
            for passed in [0, 30, 60, 90] {
                // XAPI has measured every 5 s, and has what it measured for ten minutes.
                let ask = |start: u64, _| {
                    let rows = (1..120).map(|row| there + passed - 5 * row).filter(|time| *time >= start);
                    let text = document(&rows.map(|time| (time, "0.5 0 100 0 0")).collect::<Vec<_>>());
                    Ok(std::io::Cursor::new(text))
                };
                add_from(&mut counters, 3000 + passed, ask).unwrap();
            }
            // The first round gives what there was then; three more are 90 s of 100 bytes a second.
            let bytes = counters.count(&vm, Figure::NetRx).unwrap();
            let first = 100 * (there - 2990).min(595);
            assert!((first + 8000..=first + 9500).contains(&bytes), "{there}: {bytes}");
        }
    }

    #[test]
    fn figures_that_cannot_be_are_left_out() {
        let vm: Uuid = VM.parse().unwrap();
        let mut counters = Counters::default();
        let text = document(&[(1005, "1e308 0.5 1e308 0 NaN"), (1010, "-1e308 0.5 100 0 inf")]);
        read(&mut counters, text.as_bytes(), 1000).unwrap();
        assert_eq!(counters.cpu_percent(&vm), Some(50.0));
        assert_eq!(counters.count(&vm, Figure::NetRx), Some(500));
        assert_eq!(counters.count(&vm, Figure::DiskRdIops), None);
        for step in ["NaN", "0", "-5", "1e308", "inf", "five"] {
            let text = text.replace("<step>5</step>", &format!("<step>{step}</step>"));
            assert!(read(&mut Counters::default(), text.as_bytes(), 1000).is_err(), "{step}");
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_an_error() {
        let text = document(&[(1010, "0 0 0 0 0")]);
        assert!(read(&mut Counters::default(), &text.as_bytes()[..text.len() - 20], 0).is_err());
    }

    #[test]
    fn a_longer_absence_is_asked_in_coarser_steps() {
        assert_eq!(since(0, 10_000), (9990, 5));
        assert_eq!(since(9970, 10_000), (9970, 5));
        assert_eq!(since(8000, 10_000), (8000, 60));
        assert_eq!(since(1, 10_000), (2800, 60));
        assert_eq!(since(20_000, 10_000), (9990, 5), "the clock was set back");
    }
}
