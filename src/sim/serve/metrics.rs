//! `GET /rrd_updates`: what was measured since a time (xcp-rrdd rrdd_http_handler.ml, xapi-rrd rrd_updates.ml).
//! Measurements are as constant as the simulated guests: a row for every step since.

use super::Server;
use super::answer::{Status, bad_request, internal};
use super::request::Request;
use crate::sim::pool::Pool;
use crate::sim::row::Class;
use crate::sim::verbs::{host, task};
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Measured every so many seconds.
const TIMESTEP: i64 = 5;
/// The archives, in measurements a row and rows (rrd_timescales.ml).
const ARCHIVES: [(i64, i64); 4] = [(1, 120), (12, 120), (720, 168), (17_280, 366)];

/// What a request asks for.
struct Wanted<'r> {
    start: i64,
    interval: i64,
    host: bool,
    vm: &'r str,
}

/// The whole answer with its head.
pub fn answer(server: &Server, request: &Request) -> Result<String, Status> {
    let start = request.query("start").ok_or_else(bad_request)?;
    let start = start.parse().map_err(|_| internal("Failure(\"Int64.of_string\")"))?;
    let wanted = Wanted {
        start,
        interval: request.query("interval").and_then(|text| text.parse().ok()).unwrap_or(0),
        host: request.query("host") == Some("true"),
        vm: request.query("vm_uuid").unwrap_or("all"),
    };
    // MIN and MAX are kept only where an administrator asks for it; an unknown word means any.
    if request.query("cf").is_some_and(|cf| ["MIN", "MAX", "LAST"].contains(&cf)) {
        return Err(internal("Rrd.No_RRA_Available"));
    }
    let sources = server.look(|pool| sources(pool, &server.host, &wanted))??;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed());
    let is_json = request.prefers_json();
    let body = export(&sources, &wanted, now, is_json);
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: {}\r\nCache-Control: no-cache, no-store\r\n",
        body.len()
    );
    if !is_json {
        head += "content-type: text/xml\r\n";
    }
    head += "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: X-Requested-With\r\n\r\n";
    Ok(head + &body)
}

/// Names as the legend has them, and values: the host's, then those of each VM on it, the control domain too.
fn sources(pool: &Pool, host_uuid: &str, wanted: &Wanted<'_>) -> Result<Vec<(String, f64)>, Status> {
    let gone = || internal("Not_found");
    let mut all = Vec::new();
    if wanted.host {
        let row = pool.get(Class::Host, host_uuid).map_err(|_| gone())?;
        let named =
            |source: host::Source| (format!("AVERAGE:host:{host_uuid}:{}", source.name), source.value);
        all.extend(host::sources(pool, row).into_iter().map(named));
    }
    for vm in pool.referring(Class::Vm, "resident-on", host_uuid) {
        if wanted.vm == "all" || vm.uuid == wanted.vm {
            let named =
                |source: host::Source| (format!("AVERAGE:vm:{}:{}", vm.uuid, source.name), source.value);
            all.extend(task::sources(pool, vm).into_iter().map(named));
        }
    }
    if all.is_empty() { Err(internal("Rrd.No_RRA_Available")) } else { Ok(all) }
}

/// The finest archive that reaches back to the start and is no finer than asked for; else the longest
/// (rrd.ml `find_best_rras`).
fn archive(start: i64, interval: i64, last: i64) -> (i64, i64) {
    let reaches = |&&(steps, rows): &&(i64, i64)| {
        steps >= interval / TIMESTEP && start > last - TIMESTEP * steps * rows
    };
    *ARCHIVES.iter().find(reaches).unwrap_or(&(17_280, 366))
}

fn export(sources: &[(String, f64)], wanted: &Wanted<'_>, now: i64, is_json: bool) -> String {
    let last_measured = now - now.rem_euclid(TIMESTEP);
    let start = if wanted.start < 0 { wanted.start + now } else { wanted.start };
    let (steps, rows) = archive(start, wanted.interval, last_measured);
    let step = TIMESTEP * steps;
    let last = now - now.rem_euclid(step);
    let first = start - start.rem_euclid(step) + step;
    let times: Vec<i64> = (0..rows).map(|row| last - row * step).take_while(|time| *time >= start).collect();
    let counts = (times.len(), sources.len());
    let values: Vec<String> = sources.iter().map(|(_, value)| shown(*value)).collect();
    if is_json {
        return json((first, step, last), counts, &times, sources, &values);
    }
    let tagged = |tag: &str, text: String, inner: &str| text + "<" + tag + ">" + inner + "</" + tag + ">";
    let legend = sources.iter().fold(String::new(), |text, (name, _)| tagged("entry", text, name));
    let values = values.iter().fold(String::new(), |text, value| tagged("v", text, value));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xport><meta><start>{first}</start><step>{step}</step><end>{last}</end>\
         <rows>{}</rows><columns>{}</columns><legend>{legend}</legend></meta><data>",
        counts.0, counts.1
    );
    for time in times {
        _ = write!(text, "<row><t>{time}</t>{values}</row>");
    }
    text + "</data></xport>"
}

fn json(
    (first, step, last): (i64, i64, i64),
    counts: (usize, usize),
    times: &[i64],
    sources: &[(String, f64)],
    values: &[String],
) -> String {
    let quoted = |texts: &mut dyn Iterator<Item = &String>| {
        texts.map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(",")
    };
    let legend = quoted(&mut sources.iter().map(|(name, _)| name));
    let values = quoted(&mut values.iter());
    let rows: Vec<String> =
        times.iter().map(|time| format!("{{\"t\":{time},\"values\":[{values}]}}")).collect();
    format!(
        "{{\"meta\":{{\"start\":{first},\"step\":{step},\"end\":{last},\"rows\":{},\"columns\":{},\"legend\":[{legend}]}},\
         \"data\":[{}]}}",
        counts.0,
        counts.1,
        rows.join(",")
    )
}

/// Five significant digits, as C's `%0.5g` has them (rrd_utils.ml `f_to_s`).
fn shown(value: f64) -> String {
    const DIGITS: i32 = 5;
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let scientific = format!("{value:.4e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if (-4..DIGITS).contains(&exponent) {
        let places = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let numbers = [0.0, 0.012_346, 536_870_912.0, 1024.0, 99_999.6, 0.000_012, 1.5, -2.0, 12_345.0];
        let texts = ["0.0", "0.012346", "5.3687e+08", "1024", "1e+05", "1.2e-05", "1.5", "-2", "12345"];
        assert_eq!(numbers.map(shown), texts);
    }

    #[test]
    fn a_start_too_long_ago_is_answered_from_a_coarser_archive() {
        assert_eq!(archive(1000, 5, 1010), (1, 120));
        assert_eq!(archive(400, 5, 1010), (12, 120));
        assert_eq!(archive(1000, 60, 1010), (12, 120));
        assert_eq!(archive(-100_000_000, 0, 1010), (17_280, 366));
    }

    #[test]
    fn rows_go_from_the_newest_to_the_start() {
        let wanted = Wanted { start: 1001, interval: 5, host: true, vm: "all" };
        let text = export(&[("AVERAGE:vm:u:cpu0".to_owned(), 0.5)], &wanted, 1013, false);
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xport><meta><start>1005</start><step>5</step><end>1010</end>\
             <rows>2</rows><columns>1</columns><legend><entry>AVERAGE:vm:u:cpu0</entry></legend></meta><data>\
             <row><t>1010</t><v>0.5</v></row><row><t>1005</t><v>0.5</v></row></data></xport>"
        );
    }
}
