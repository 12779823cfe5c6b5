//! What may be done to disks (xapi `xapi_vdi.ml` `check_operation_error`).

use super::{GROWS_ONLINE, attached, check_there, is_iso, is_plugged, kind, tracking};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, opaque, refused};
use crate::sim::row::{Class, Row};

/// What may be done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Clone,
    Copy,
    Resize,
    ResizeOnline,
    Snapshot,
    Destroy,
    Forget,
    Update,
    GenerateConfig,
    EnableCbt,
    DisableCbt,
    DataDestroy,
    ListChangedBlocks,
    Mirror,
    SetOnBoot,
}

/// Those that `allowed-operations` may have (`xapi_globs.ml` `pre_ely_vdi_operations`), backwards.
const SHOWN: [Op; 9] = [
    Op::GenerateConfig,
    Op::Update,
    Op::Forget,
    Op::Destroy,
    Op::Snapshot,
    Op::ResizeOnline,
    Op::Resize,
    Op::Copy,
    Op::Clone,
];

impl Op {
    /// As XAPI writes it (`record_util.ml` `vdi_operations_to_string`).
    fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Copy => "copy",
            Self::Resize => "resize",
            Self::ResizeOnline => "resize_online",
            Self::Snapshot => "snapshot",
            Self::Destroy => "destroy",
            Self::Forget => "forget",
            Self::Update => "update",
            Self::GenerateConfig => "generate_config",
            Self::EnableCbt => "enable_cbt",
            Self::DisableCbt => "disable_cbt",
            Self::DataDestroy => "data_destroy",
            Self::ListChangedBlocks => "list_changed_blocks",
            Self::Mirror => "mirror",
            Self::SetOnBoot => "set_on_boot",
        }
    }

    /// Whether it may be done to a disk that is attached in this way.
    fn is_blocked_by(self, pool: &Pool, vbd: &Row) -> bool {
        match self {
            Self::Snapshot
            | Self::ResizeOnline
            | Self::Clone
            | Self::Mirror
            | Self::EnableCbt
            | Self::DisableCbt
            | Self::DataDestroy => false,
            Self::Copy => vbd.get("mode") == "RW",
            Self::ListChangedBlocks => {
                !pool.find(Class::Vm, vbd.get("vm-uuid")).is_some_and(|vm| vm.is("is-a-snapshot"))
            }
            _ => true,
        }
    }

    /// Whether it can be done to what has no data any more.
    fn needs_no_data(self) -> bool {
        matches!(
            self,
            Self::DataDestroy
                | Self::Destroy
                | Self::ListChangedBlocks
                | Self::Forget
                | Self::GenerateConfig
                | Self::Update
        )
    }
}

/// Refuses an operation on a disk, with XAPI's reason, or its storage manager's.
pub fn check(pool: &Pool, disk: &Row, op: Op) -> Outcome<()> {
    check_allowed(pool, disk, op)?;
    if op.needs_no_data() { Ok(()) } else { check_there(pool, &disk.uuid) }
}

fn check_allowed(pool: &Pool, disk: &Row, op: Op) -> Outcome<()> {
    let sr = disk.get("sr-uuid");
    let refuse = |code: &str, more: Vec<Param>| {
        Err(refused(code, [vec![pool.param(Class::Vdi, &disk.uuid)], more].concat()))
    };
    if op == Op::Resize && !is_plugged(pool, sr) {
        return Err(refused("SR_NO_PBDS", vec![pool.param(Class::Sr, sr)]));
    }
    if attached(pool, &disk.uuid).iter().any(|vbd| op.is_blocked_by(pool, vbd)) {
        return refuse("VDI_IN_USE", vec![Param::text(op.name())]);
    }
    let grows = pool.find(Class::Sr, sr).is_some_and(|sr| sr.is(GROWS_ONLINE));
    let can = kind::of(pool, sr).can(op) || op == Op::ResizeOnline && grows;
    if !can {
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![pool.param(Class::Sr, sr)]));
    }
    let what = disk.get("type");
    if what == tracking::METADATA && !op.needs_no_data() {
        return refuse("VDI_INCOMPATIBLE_TYPE", vec![Param::text(what)]);
    }
    if matches!(op, Op::Mirror | Op::SetOnBoot) && disk.is("cbt-enabled") {
        return refuse("VDI_CBT_ENABLED", vec![]);
    }
    check_nature(pool, disk, op)?;
    let is_left_alone = matches!(op, Op::Forget | Op::Update | Op::ListChangedBlocks | Op::SetOnBoot);
    if !is_left_alone && !disk.is("managed") {
        return refuse("VDI_NOT_MANAGED", vec![]);
    }
    Ok(())
}

/// What only one or two operations ask for.
fn check_nature(pool: &Pool, disk: &Row, op: Op) -> Outcome<()> {
    let itself = || vec![pool.param(Class::Vdi, &disk.uuid)];
    let not_allowed = |why: &str| {
        let why = format!("{why}: {}", opaque(&disk.uuid));
        Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(why)]))
    };
    let snapshot = disk.is("is-a-snapshot");
    match op {
        Op::DataDestroy if !snapshot => return not_allowed("VDI is not a snapshot"),
        Op::DataDestroy if !disk.is("cbt-enabled") => return Err(refused("VDI_NO_CBT_METADATA", itself())),
        Op::EnableCbt | Op::DisableCbt if snapshot => return not_allowed("VDI is a snapshot"),
        Op::EnableCbt | Op::DisableCbt if !["User", "System"].contains(&disk.get("type")) => {
            let what = Param::text(disk.get("type"));
            return Err(refused("VDI_INCOMPATIBLE_TYPE", [itself(), vec![what]].concat()));
        }
        Op::Snapshot if disk.is("sharable") => return Err(refused("VDI_IS_SHARABLE", itself())),
        _ => {}
    }
    let keeps = matches!(op, Op::Snapshot | Op::Copy | Op::EnableCbt | Op::DisableCbt);
    if keeps && disk.get("on-boot") == "reset" {
        return Err(refused("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", vec![]));
    }
    let is_tools = pool.find(Class::Sr, disk.get("sr-uuid")).is_some_and(|sr| sr.is("is-tools-sr"));
    if is_tools && matches!(op, Op::Destroy | Op::DataDestroy) {
        let sr = pool.param(Class::Sr, disk.get("sr-uuid"));
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![sr]));
    }
    Ok(())
}

/// `allowed-operations` of a VDI.
pub fn vdi_operations(pool: &Pool, row: &Row) -> Vec<String> {
    if is_iso(pool, row.get("sr-uuid")) {
        return vec!["copy".to_owned()];
    }
    let allowed = SHOWN.into_iter().filter(|op| check_allowed(pool, row, *op).is_ok());
    allowed.map(|op| op.name().to_owned()).collect()
}
