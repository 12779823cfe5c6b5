//! Flows that are left on this host's bridges: of guests that are gone, where neither a script nor the monitoring client
//! has removed them.

use super::guard::Guard;
use crate::report::Result;
use crate::xe::Xe;

/// The bridges with such flows, and how many they have. None where drivers do not run on the host, or it has no Open
/// vSwitch.
pub fn flows(xe: &Xe) -> Result<Vec<(String, usize)>> {
    if !xe.is_of_this_host() {
        return Ok(Vec::new());
    }
    Guard::take()?.map_or(Ok(Vec::new()), |guard| guard.leftovers(xe))
}

/// Gives every bridge the flows that it is to have, and no other of ours.
pub fn remove_flows(xe: &Xe) -> Result<()> {
    Guard::take()?.map_or(Ok(()), |guard| guard.apply(xe))
}
