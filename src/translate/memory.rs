//! MEMORY and MEMORY_MAX → XAPI's memory limits.

use crate::one::Vm;
use crate::xe::vm::MemoryLimits;

/// What OpenNebula calls a MB.
pub const MIB: u64 = 1 << 20;

/// How far a running VM may be shrunk; static limits can only be changed while it is halted.
const STATIC_MIN_MB: u64 = 128;

/// OpenNebula counts in MB of 2^20 bytes. The VM gets MEMORY at once and may grow to MEMORY_MAX.
pub fn limits(vm: &Vm) -> MemoryLimits {
    MemoryLimits {
        static_min_bytes: vm.memory_mb.min(STATIC_MIN_MB) * MIB,
        dynamic_min_bytes: vm.memory_mb * MIB,
        dynamic_max_bytes: vm.memory_mb * MIB,
        static_max_bytes: vm.memory_max_mb * MIB,
    }
}

/// The same without a range: all that a pool without dynamic memory control takes (xapi_vm_memory_constraints.ml
/// `assert_valid_and_pinned_at_static_max`).
pub fn pinned(limits: &MemoryLimits) -> MemoryLimits {
    MemoryLimits { static_max_bytes: limits.dynamic_max_bytes, ..*limits }
}
