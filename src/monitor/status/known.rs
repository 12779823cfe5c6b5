//! A VM that ran on the host.

use crate::translate::vm_state::State;
use crate::xe::Uuid;

/// A VM that is not in the pool for so many rounds is gone.
pub const MISSING_ROUNDS: u32 = 3;

#[derive(Debug)]
pub struct Known {
    pub deploy_id: Uuid,
    pub state: State,
    /// OpenNebula has taken it.
    pub told: bool,
    pub missing_rounds: u32,
    /// An action of OpenNebula's was at work on it when it went: OpenNebula knows.
    pub handled: bool,
}

impl Known {
    pub fn new(deploy_id: Uuid, state: State, told: bool) -> Known {
        Known { deploy_id, state, told, missing_rounds: 0, handled: false }
    }

    /// Counts a round without the VM; false when there is nothing more to tell of it.
    pub fn is_still_missed(&mut self, at_work: impl Fn(&Uuid) -> bool) -> bool {
        if self.state == State::Poweroff && self.told {
            return false;
        }
        self.handled |= at_work(&self.deploy_id);
        self.missing_rounds += 1;
        if self.missing_rounds < MISSING_ROUNDS {
            return true;
        }
        self.told &= self.state == State::Poweroff;
        self.state = State::Poweroff;
        !self.handled
    }
}
