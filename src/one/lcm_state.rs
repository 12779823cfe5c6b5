//! OpenNebula's life-cycle state of a VM, as far as it tells what becomes of the VM's disks.

/// `LCM_STATE` (VirtualMachine.h, release 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LcmState(pub u32);

impl LcmState {
    /// `BOOT`: the VM's first deployment, from disks that were just made of its images.
    pub const BOOT: LcmState = LcmState(2);
    /// `SAVE_MIGRATE`: a cold migration begins; the message's last history record is the destination's.
    pub const SAVE_MIGRATE: LcmState = LcmState(7);
    /// `SHUTDOWN`: the VM is terminated after this; only persistent disks are wanted.
    pub const SHUTDOWN: LcmState = LcmState(12);
    /// `CLEANUP_RESUBMIT`: `recover --recreate`; the VM begins anew from its images.
    pub const CLEANUP_RESUBMIT: LcmState = LcmState(15);
    /// `CLEANUP_DELETE`: `recover --delete`.
    pub const CLEANUP_DELETE: LcmState = LcmState(23);

    /// `HOTPLUG_NIC_POWEROFF`: a NIC of a powered-off VM (oned.conf `COLD_NIC_ATTACH`).
    pub const HOTPLUG_NIC_POWEROFF: LcmState = LcmState(65);

    /// Whether the VM is powered off for OpenNebula while this action is under way.
    pub fn is_powered_off(self) -> bool {
        self == LcmState::HOTPLUG_NIC_POWEROFF
    }

    /// Whether an administrator has given the VM up (`recover --delete`, `--recreate`).
    pub fn gives_up_the_vm(self) -> bool {
        [LcmState::CLEANUP_RESUBMIT, LcmState::CLEANUP_DELETE].contains(&self)
    }

    /// Whether OpenNebula throws the VM's own disks away after this action. In all other states, also ones
    /// that this driver has never heard of, their data is still wanted.
    pub fn ends_the_vm(self) -> bool {
        [LcmState::SHUTDOWN, LcmState::CLEANUP_RESUBMIT, LcmState::CLEANUP_DELETE].contains(&self)
    }
}
