//! A new VBD (xapi `xapi_vbd.ml` `create`).

use crate::sim::call::Call;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, cli, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

/// A VBD to make.
pub struct New<'n> {
    pub vm: &'n str,
    pub vdi: Option<&'n str>,
    pub device: &'n str,
    pub bootable: bool,
    pub mode: &'static str,
    pub kind: &'static str,
    pub unpluggable: bool,
    pub owner: bool,
}

/// `vbd-create`.
pub fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = &call.command;
    let vm = pool.get(Class::Vm, command.need("vm-uuid")?)?.uuid.to_string();
    let vdi = command.get("vdi-uuid").map(|vdi| pool.get(Class::Vdi, vdi)).transpose()?;
    let vdi = vdi.map(|row| row.uuid.to_string());
    let bootable = command.flag("bootable", false)?;
    let mode = match command.get("mode").map(str::to_ascii_lowercase).as_deref() {
        None | Some("rw") => "RW",
        Some("ro") => "RO",
        Some(other) => return cli(format!("Unknown mode: {other} (should be \"ro\" or \"rw\"")),
    };
    let kind = match command.get("type").map(str::to_ascii_lowercase).as_deref() {
        None | Some("disk") => "Disk",
        Some("cd") => "CD",
        Some("floppy") => "Floppy",
        Some(other) => {
            return cli(format!("\"Unknown type: {other} (should be \"cd\", \"disk\" or \"floppy\""));
        }
    };
    let unpluggable = command.flag("unpluggable", true)?;
    if kind == "Disk" && vdi.is_none() {
        return cli("Empty VBDs can only be made for type=CD");
    }
    let device = command.need("device")?.to_owned();
    let new = New {
        vm: &vm,
        vdi: vdi.as_deref(),
        device: &device,
        bootable,
        mode,
        kind,
        unpluggable,
        owner: false,
    };
    let uuid = make(pool, &new)?;
    call.out.list(&[uuid]);
    Ok(())
}

/// Makes a VBD, after XAPI's checks.
pub fn make(pool: &mut Pool, new: &New) -> Outcome<String> {
    if new.kind == "CD" && new.mode != "RO" {
        return Err(refused("VBD_CDS_MUST_BE_READONLY", vec![]));
    }
    if new.kind != "CD" && new.vdi.is_none() {
        return Err(refused("VBD_NOT_REMOVABLE_MEDIA", vec![Param::text("in constructor")]));
    }
    if let Some(vdi) = new.vdi
        && new.mode == "RW"
        && pool.get(Class::Vdi, vdi)?.is("read-only")
    {
        return Err(refused("VDI_READONLY", vec![pool.param(Class::Vdi, vdi)]));
    }
    if let Some(vdi) = new.vdi {
        storage::check_has_data(pool, vdi)?;
    }
    let taken = pool.referring(Class::Vbd, "vm-uuid", new.vm);
    let device = if new.device == "autodetect" {
        storage::free_devices(pool.get(Class::Vm, new.vm)?, &taken).into_iter().next()
    } else {
        storage::is_device(new.device).then(|| new.device.to_owned())
    };
    let Some(device) = device else {
        return Err(refused("INVALID_DEVICE", vec![Param::text(new.device)]));
    };
    if storage::is_device_taken(&taken, &device) {
        return Err(refused("DEVICE_ALREADY_EXISTS", vec![Param::text(device)]));
    }
    let mut row = Row::new(Class::Vbd, pool.new_uuid());
    row.set("vm-uuid", new.vm.to_owned());
    row.set("vdi-uuid", new.vdi.unwrap_or_default().to_owned());
    row.set("empty", new.vdi.is_none().to_string());
    row.set("userdevice", device);
    row.set("bootable", new.bootable.to_string());
    row.set("mode", new.mode);
    row.set("type", new.kind);
    row.set("unpluggable", new.unpluggable.to_string());
    if new.owner {
        row.put("other-config", "owner", "");
    }
    let uuid = row.uuid.to_string();
    pool.insert(row);
    Ok(uuid)
}
