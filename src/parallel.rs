//! Independent steps side by side: an `xe` call costs 50 to 150 ms, nearly all of it waiting.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

/// So many at once: XAPI's own workers are as few, and each disk's bytes pass through this host.
pub const AT_ONCE: usize = 8;

static LIMIT: AtomicUsize = AtomicUsize::new(AT_ONCE);

/// Lets at most `limit` steps run at once; with 1 they run one after the other, in their order.
pub fn limit(limit: usize) {
    LIMIT.store(limit.max(1), Ordering::Relaxed);
}

/// Runs `step` on each item; all of them end, whatever becomes of the others. Results keep the items' order.
pub fn map<T: Sync, R: Send>(items: &[T], step: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let done: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    each(items.len(), &|index| {
        let (Some(item), Some(place)) = (items.get(index), done.get(index)) else { return };
        let result = step(item);
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    done.into_iter().filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Runs two steps side by side.
pub fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    if LIMIT.load(Ordering::Relaxed) == 1 {
        return (one(), other());
    }
    let mut first = None;
    let (ended, second) = thread::scope(|scope| {
        let thread = begin(scope, Box::new(|| first = Some(one())));
        let second = other();
        (thread.join(), second)
    });
    match (first, ended) {
        (Some(first), _) => (first, second),
        (None, ended) => resume_unwind(ended.err().unwrap_or_else(|| Box::new("a step without a result"))),
    }
}

/// Calls `step` for each index below `count`.
fn each(count: usize, step: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            step(index);
        }
    };
    thread::scope(|scope| {
        for _ in 0..count.min(LIMIT.load(Ordering::Relaxed)) {
            begin(scope, Box::new(work));
        }
    });
}

/// One kind of thread for all steps: each kind of its own costs the program 3 KB.
fn begin<'s>(scope: &'s Scope<'s, '_>, step: Box<dyn FnOnce() + Send + 's>) -> ScopedJoinHandle<'s, ()> {
    scope.spawn(step)
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_items_are_done_and_keep_their_order() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(super::map(&items, |item| item * 2), (0..200).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_goes_on_in_the_caller() {
        let both = std::panic::catch_unwind(|| super::both(|| -> u32 { panic!("one") }, || 2));
        assert_eq!(both.unwrap_err().downcast_ref(), Some(&"one"));
        assert_eq!(super::both(|| 1, || 2), (1, 2));
    }
}
