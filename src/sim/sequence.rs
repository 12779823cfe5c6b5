//! What every simulated pool has the same: the sequence of its uuids, and the time it begins at.

/// A uuid that looks like any other.
pub fn nth_uuid(number: u64) -> String {
    let high = scramble(number.wrapping_mul(2));
    let low = scramble(number.wrapping_mul(2).wrapping_add(1));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

/// The finaliser of splitmix64: neighbouring numbers become unlike ones.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x632b_e59b_d9b4_e019);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `YYYYMMDDTHH:MM:SSZ`, the seconds counted from the first of January 2026, when every simulated pool begins.
pub fn timestamp(clock: u64) -> String {
    let (mut day, second) = (clock / 86_400, clock % 86_400);
    let mut year = 2026_u64;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for days in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}:{minute:02}:{:02}Z", day + 1, second % 60)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn time_runs_on_from_2026() {
        assert_eq!(timestamp(0), "20260101T00:00:00Z");
        assert_eq!(timestamp(31 * 86_400 + 3661), "20260201T01:01:01Z");
        assert_eq!(timestamp(365 * 86_400), "20270101T00:00:00Z");
    }
}
