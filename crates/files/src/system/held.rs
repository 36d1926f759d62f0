//! Files that somebody else holds open for a moment, as virus scanners and indexers do on Windows: nobody can give such a file
//! another name, and a moment later everybody can.

use std::io;
use std::time::Duration;

/// After each refusal a longer wait: 310 ms in all, several times what a scanner takes for a small file.
const WAITS: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// `ERROR_ACCESS_DENIED`, `ERROR_SHARING_VIOLATION` and `ERROR_LOCK_VIOLATION`.
const HELD: [i32; 3] = [5, 32, 33];

/// Tries again, a few times, as long as the system says that somebody holds it.
pub(crate) fn patiently<T>(
    wait: impl Fn(Duration),
    mut act: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    for pause in WAITS {
        match act() {
            Err(error)
                if error
                    .raw_os_error()
                    .is_some_and(|code| HELD.contains(&code)) =>
            {
                wait(pause);
            }
            done => return done,
        }
    }
    act()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often it was tried and how long was waited, where the first calls are refused with these codes.
    fn tried(codes: &[i32]) -> (usize, Duration, Option<i32>) {
        let (tries, waited) = (Cell::new(0), Cell::new(Duration::ZERO));
        let done = patiently(
            |pause| waited.set(waited.get() + pause),
            || {
                let refusal = codes.get(tries.get());
                tries.set(tries.get() + 1);
                refusal.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(*code)))
            },
        );
        let code = done.err().and_then(|error| error.raw_os_error());
        (tries.get(), waited.get(), code)
    }

    #[test]
    fn a_file_that_is_held_for_a_moment_is_tried_again_and_any_other_error_is_told_at_once() {
        assert_eq!(tried(&[]), (1, Duration::ZERO, None));
        assert_eq!(tried(&[32, 5, 33]), (4, Duration::from_millis(70), None));
        assert_eq!(tried(&[2]), (1, Duration::ZERO, Some(2)));
        assert_eq!(tried(&[32, 2]), (2, Duration::from_millis(10), Some(2)));
        assert_eq!(tried(&[32; 9]), (6, Duration::from_millis(310), Some(32)));
    }
}
