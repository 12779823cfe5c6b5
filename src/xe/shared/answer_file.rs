//! An answer in a file: `BEGUN LENGTH OUTCOME`, the question, the answer. What a killed program had begun to write
//! is seen to be incomplete.

use crate::xe::XeError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An answer serves who asks while it is on its way, or so soon after that was begun.
const FRESH: Duration = Duration::from_millis(500);

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// The file's text for an answer that was asked for at `begun`.
pub fn write(key: &str, begun: u64, answer: Result<&str, &XeError>) -> String {
    let (outcome, text) = match answer {
        Ok(text) => ("ok", text.to_owned()),
        Err(XeError { code, words, .. }) => {
            ("failed", format!("{}\n{words}", code.as_deref().unwrap_or_default()))
        }
    };
    format!("{begun} {} {outcome}\n{key}\n{text}", text.len())
}

/// What is in `all` of the file, if it is whole, answers this very question, and was asked for when it was `wanted` or only
/// just before. None that claims to be of the future: the clock was set back.
pub fn read(all: &str, key: &str, wanted: u64) -> Option<Result<String, XeError>> {
    let (head, rest) = all.split_once('\n')?;
    let mut words = head.split(' ');
    let begun: u64 = words.next()?.parse().ok()?;
    let length: usize = words.next()?.parse().ok()?;
    let outcome = words.next()?;
    let text = rest.strip_prefix(key)?.strip_prefix('\n')?;
    let is_fresh = u128::from(begun) + FRESH.as_millis() >= u128::from(wanted) && begun <= now();
    if text.len() != length || !is_fresh {
        return None;
    }
    if outcome == "ok" {
        return Some(Ok(text.to_owned()));
    }
    let (code, words) = text.split_once('\n')?;
    let code = Some(code.to_owned()).filter(|code| !code.is_empty());
    Some(Err(XeError { code, params: Vec::new(), words: words.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_half_written_or_of_the_future_is_asked_anew() {
        let key = "pool xe vm-list";
        let is_taken = |text: &str| read(text, key, now()).is_some();
        let whole = |begun| write(key, begun, Ok("whole"));
        assert!(is_taken(&whole(now())));
        let mut cut = whole(now());
        cut.pop();
        assert!(!is_taken(&cut) && !is_taken(""));
        assert!(!is_taken(&whole(now() - 5000)));
        // Begun when it was wanted, and long under way.
        assert!(read(&whole(now() - 5000), key, now() - 5000).is_some());
        assert!(!is_taken(&whole(now() + 60_000)));
        assert!(!is_taken(&write("another key", now(), Ok("whole"))));
    }
}
