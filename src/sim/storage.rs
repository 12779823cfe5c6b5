//! Rules of SRs, VDIs and VBDs: room, sharing, device names, what may be done to a disk in use
//! (xapi `xapi_vdi.ml` `check_operation_error`, `xapi_vbd_helpers.ml`).

use super::pool::Pool;
use super::refuse::{Outcome, Param, refused};
use super::row::{Class, Row};

/// Sum over the VDIs of an SR, in bytes.
pub fn allocated(pool: &Pool, sr: &str, name: &str) -> String {
    sum(pool, sr, name).to_string()
}

fn sum(pool: &Pool, sr: &str, name: &str) -> i64 {
    pool.referring(Class::Vdi, "sr-uuid", sr).iter().map(|vdi| vdi.number(name)).sum()
}

/// Refuses if the SR has not `bytes` left.
pub fn check_room(pool: &Pool, sr: &str, bytes: i64) -> Outcome<()> {
    let row = pool.get(Class::Sr, sr)?;
    if sum(pool, sr, "physical-utilisation") + bytes > row.number("physical-size") {
        return Err(backend(44, "There is insufficient space"));
    }
    Ok(())
}

/// The largest disk that the VHD format holds, in bytes (2 TiB less its own structures).
const LARGEST: i64 = 2_088_960 << 20;

/// Refuses a size that no VHD can have.
pub fn check_size(bytes: i64) -> Outcome<()> {
    if bytes > LARGEST {
        let limits = "VDI Invalid size [opterr=VDI size must be between 1 MB and 2088960 MB]";
        return Err(backend(79, limits));
    }
    Ok(())
}

/// What a storage manager refuses with: a number and a sentence.
pub fn backend(number: u32, text: &str) -> super::refuse::Fail {
    let params = ["", text, ""].map(Param::text);
    refused(&format!("SR_BACKEND_FAILURE_{number}"), params.into())
}

/// Whether a host reaches an SR: a PBD joins them and is plugged.
pub fn is_reachable(pool: &Pool, sr: &str, host: &str) -> bool {
    let pbds = pool.referring(Class::Pbd, "sr-uuid", sr);
    pbds.iter().any(|pbd| pbd.get("host-uuid") == host && pbd.is("currently-attached"))
}

/// Whether the SR holds images of CDs.
pub fn is_iso(pool: &Pool, sr: &str) -> bool {
    pool.find(Class::Sr, sr).is_some_and(|sr| sr.get("content-type") == "iso")
}

/// The VBDs through which a VDI is attached now.
pub fn attached<'p>(pool: &'p Pool, vdi: &str) -> Vec<&'p Row> {
    let mut vbds = pool.referring(Class::Vbd, "vdi-uuid", vdi);
    vbds.retain(|vbd| vbd.is("currently-attached"));
    vbds
}

/// Refuses an operation on a VDI that is attached; `reading` ones pass if nobody writes to it.
pub fn check_unused(pool: &Pool, vdi: &str, operation: &str, reading: bool) -> Outcome<()> {
    let in_the_way = attached(pool, vdi).iter().any(|vbd| !reading || vbd.get("mode") == "RW");
    if in_the_way {
        return Err(refused("VDI_IN_USE", vec![pool.param(Class::Vdi, vdi), Param::text(operation)]));
    }
    Ok(())
}

/// Refuses to attach a VBD whose VDI is already attached, or would be twice in one VM, and is written to.
pub fn check_sharing(pool: &Pool, vbd: &Row) -> Outcome<()> {
    let vm = vbd.get("vm-uuid");
    refuse_sharing(pool, vbd, |other| other.is("currently-attached") || other.get("vm-uuid") == vm)
}

/// Refuses if the VDI is written to through the VBD and another one that is `in_use`.
fn refuse_sharing(pool: &Pool, vbd: &Row, in_use: impl Fn(&Row) -> bool) -> Outcome<()> {
    let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) else { return Ok(()) };
    let writes = |row: &Row| row.get("mode") == "RW";
    let clash = pool
        .referring(Class::Vbd, "vdi-uuid", &vdi.uuid)
        .iter()
        .any(|other| other.uuid != vbd.uuid && in_use(other) && (writes(other) || writes(vbd)));
    if clash && !vdi.is("sharable") {
        return Err(refused("VDI_IN_USE", vec![pool.param(Class::Vdi, &vdi.uuid)]));
    }
    Ok(())
}

/// `attachable` of a VBD.
pub fn attachable(pool: &Pool, row: &Row) -> String {
    match refuse_sharing(pool, row, |other| other.is("currently-attached")) {
        Ok(()) => "true".to_owned(),
        Err(fail) => {
            let said = fail.said(true).stderr;
            let raised = said.lines().find_map(|line| line.strip_prefix("Raised ")).unwrap_or_default();
            format!("false (error: {raised})")
        }
    }
}

/// The place of a device among the disks of a VM: `3`, `xvdd`, `hdd` and `sdd` are the same.
pub fn position(device: &str) -> Option<u32> {
    if let Ok(number) = device.parse() {
        return Some(number);
    }
    let letter = ["xvd", "hd", "sd"].iter().find_map(|prefix| device.strip_prefix(prefix))?;
    match letter.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(u32::from(letter - b'a')),
        _ => None,
    }
}

/// The device that the guest sees.
pub fn guest_device(userdevice: &str) -> String {
    let Ok(number) = userdevice.parse::<u32>() else { return userdevice.to_owned() };
    let letter = |number: u32| char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
    if number < 26 {
        format!("xvd{}", letter(number))
    } else {
        format!("xvd{}{}", letter(number / 26 - 1), letter(number))
    }
}

/// What an SR has whose storage manager has the capability `VDI_RESIZE_ONLINE`.
pub const GROWS_ONLINE: &str = "sim-grows-online";

/// Whether a VDI can grow while a VM has it.
pub fn grows_online(pool: &Pool, vdi: &Row) -> bool {
    pool.find(Class::Sr, vdi.get("sr-uuid")).is_some_and(|sr| sr.is(GROWS_ONLINE))
}

/// `allowed-operations` of a VDI.
pub fn vdi_operations(pool: &Pool, row: &Row) -> Vec<String> {
    let vbds = attached(pool, &row.uuid);
    let operations: &[&str] = if is_iso(pool, row.get("sr-uuid")) {
        &["copy"]
    } else if vbds.is_empty() {
        &["generate_config", "update", "forget", "destroy", "snapshot", "resize", "copy", "clone"]
    } else if vbds.iter().all(|vbd| vbd.get("mode") == "RO") {
        &["snapshot", "copy", "clone"]
    } else {
        &["snapshot", "clone"]
    };
    let online = grows_online(pool, row) && !is_iso(pool, row.get("sr-uuid"));
    operations.iter().copied().chain(online.then_some("resize_online")).map(str::to_owned).collect()
}

/// `allowed-operations` of a VBD.
pub fn vbd_operations(pool: &Pool, row: &Row) -> Vec<String> {
    let vm = pool.find(Class::Vm, row.get("vm-uuid"));
    let running = vm.is_some_and(|vm| vm.get("power-state") == "running");
    let removable = row.get("type") == "CD";
    let operations: &[&str] = match (running, row.is("currently-attached")) {
        (true, false) => &["attach", "plug"],
        _ if removable && row.is("empty") => &["attach", "insert"],
        _ if removable => &["attach", "eject"],
        (true, true) => &["attach", "unpause", "unplug", "unplug_force", "pause"],
        (false, _) => &["attach"],
    };
    operations.iter().map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_has_several_names() {
        for name in ["3", "xvdd", "hdd", "sdd"] {
            assert_eq!(position(name), Some(3), "{name}");
        }
        assert_eq!(position("bogus"), None);
        assert_eq!(guest_device("0"), "xvda");
        assert_eq!(guest_device("27"), "xvdab");
        assert_eq!(guest_device("xvdc"), "xvdc");
    }
}
