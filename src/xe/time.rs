//! Points in time as `xe` prints them (xapi-stdext date.ml).

/// Days from the beginning of March of year 0.
const DAYS_TO_1970: u64 = 719_468;

/// `20261123T03:04:05Z` or `2026-11-23T03:04:05Z` → seconds since 1970. None for what is no time.
pub fn unix(text: &str) -> Option<u64> {
    let digits: String = text.strip_suffix('Z')?.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<u64>().ok();
    if digits.len() != 14 {
        return None;
    }
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = part(8, 10)? * 3600 + part(10, 12)? * 60 + part(12, 14)?;
    Some((days - DAYS_TO_1970) * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::unix;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        assert_eq!(unix("19700101T00:00:00Z"), Some(0));
        assert_eq!(unix("20240229T12:00:01Z"), Some(1_709_208_001));
        assert_eq!(unix("2026-11-23T03:04:05Z"), Some(1_795_403_045));
        for text in ["", "<unknown time>", "20261323T03:04:05Z", "20261123T03:04:05", "1Z"] {
            assert_eq!(unix(text), None, "{text}");
        }
    }
}
