//! Fields of VTPMs (xapi `records.ml` `vtpm_record`).

use super::{Field, Get, Members, ro, sro};
use crate::sim::row::Class;

/// The table. No guest ever writes into a simulated TPM.
pub const VTPM: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("vm-uuid", Get::Uuid(Class::Vm)),
    ro("vm-name-label", Get::NameOf("vm-uuid", Class::Vm)),
    ro("secret", Get::Always("MD5=d41d8cd98f00b204e9800998ecf8427e size=0 bytes")),
    ro("is_unique", Get::Kept),
    ro("is_protected", Get::Always("false")),
    sro("allowed-operations", Members::Kept),
];
