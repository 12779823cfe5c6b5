//! Whose turn it is in a round, of what is not asked in each.

/// The turns of one client.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    last: Turn,
    was_repeated: bool,
    /// Seconds between two rounds, if those of several clients begin together: then all ask for the same.
    in_step: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Addresses,
    Disks,
}

impl Turns {
    pub fn new(in_step: Option<u64>) -> Turns {
        Turns { last: Turn::Disks, was_repeated: true, in_step }
    }

    /// By the clock, `now` in seconds since 1970, where clients are in step; but nothing comes three times in a
    /// row, whenever rounds happen to begin.
    pub fn next(&mut self, now: u64) -> Turn {
        let other = if self.last == Turn::Disks { Turn::Addresses } else { Turn::Disks };
        let turn = match self.in_step.map(|period| now / period.max(1) % 2) {
            Some(0) => Turn::Addresses,
            Some(_) => Turn::Disks,
            None => other,
        };
        let turn = if turn == self.last && self.was_repeated { other } else { turn };
        self.was_repeated = turn == self.last;
        self.last = turn;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Turn::{Addresses, Disks};

    fn turns(in_step: Option<u64>, times: &[u64]) -> Vec<Turn> {
        let mut turns = Turns::new(in_step);
        times.iter().map(|now| turns.next(*now)).collect()
    }

    #[test]
    fn a_client_alone_takes_turns() {
        assert_eq!(turns(None, &[7, 7, 900, 5]), [Addresses, Disks, Addresses, Disks]);
    }

    #[test]
    fn clients_in_step_soon_take_the_same_turn() {
        let one = turns(Some(10), &[1000, 1010, 1020, 1030, 1040]);
        let other = turns(Some(10), &[1010, 1020, 1030, 1040]);
        assert_eq!(one[3..], other[2..]);
        assert_eq!(one, [Addresses, Disks, Addresses, Disks, Addresses]);
    }

    #[test]
    fn rounds_that_take_too_long_ask_for_everything_all_the_same() {
        let late = turns(Some(10), &[1000, 1020, 1040, 1060, 1080, 1100]);
        assert_eq!(late, [Addresses, Addresses, Disks, Addresses, Addresses, Disks]);
    }
}
