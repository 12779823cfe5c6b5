//! The names of XAPI's measurements, of which each row has one value (xapi-rrd rrd_updates.ml).

use crate::probe::counters::Figure;
use crate::xe::Uuid;

/// Whose measurement it is, and of what.
pub type Entry = (Uuid, Figure);

/// `AVERAGE:vm:UUID:vif_0_rx` → whose it is and what. None for what OpenNebula does not ask.
pub fn entry(text: &str) -> Option<Entry> {
    let mut parts = text.trim().splitn(4, ':').skip(1);
    let class = parts.next()?;
    let owner: Uuid = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let figure = match class {
        "vm" => of_vm(name),
        "host" => of_host(name),
        _ => None,
    };
    figure.map(|figure| (owner, figure))
}

fn of_vm(name: &str) -> Option<Figure> {
    if name.strip_prefix("cpu").is_some_and(|number| number.parse::<u32>().is_ok()) {
        return Some(Figure::Cpu);
    }
    if let Some(vif) = name.strip_prefix("vif_") {
        return in_or_out(vif, "_rx", "_tx", Figure::NetRx, Figure::NetTx);
    }
    let vbd = name.strip_prefix("vbd_")?;
    in_or_out(vbd, "_iops_read", "_iops_write", Figure::DiskRdIops, Figure::DiskWrIops)
        .or_else(|| in_or_out(vbd, "_read", "_write", Figure::DiskRdBytes, Figure::DiskWrBytes))
}

/// Physical interfaces; bonds and VLANs on them would be counted twice.
fn of_host(name: &str) -> Option<Figure> {
    in_or_out(name.strip_prefix("pif_eth")?, "_rx", "_tx", Figure::NetRx, Figure::NetTx)
        .filter(|_| !name.contains('.'))
}

fn in_or_out(name: &str, r#in: &str, out: &str, figure_in: Figure, figure_out: Figure) -> Option<Figure> {
    let is_device = |device: &str| !device.contains('_');
    if name.strip_suffix(r#in).is_some_and(is_device) {
        Some(figure_in)
    } else if name.strip_suffix(out).is_some_and(is_device) {
        Some(figure_out)
    } else {
        None
    }
}
