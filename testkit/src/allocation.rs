//! Memory that is asked for: how much at once, so that a length that lies is seen to cost nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// The most bytes that this thread asked for at once since it was last looked at; `None` while nobody looks.
    static LARGEST: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator, which notes what it is asked for. A program that measures makes it its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

fn note(size: usize) {
    // A thread that is ending has no place for it any more.
    let noted = LARGEST.try_with(|largest| {
        if largest.get().is_some_and(|before| before < size) {
            largest.set(Some(size));
        }
    });
    noted.ok();
}

#[expect(unsafe_code, reason = "an allocator is one by an unsafe trait")]
// SAFETY: every call goes to the system's allocator as it came; noting a number allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the promises of this call, which are those of that one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as above; `place` came from the same allocator.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Runs something on this thread; also returns the most bytes that it asked for at once. That is 0 where the program has
/// not made [`Counting`] its own: nothing that is worth measuring asks for none.
pub fn largest<T>(run: impl FnOnce() -> T) -> (T, usize) {
    LARGEST.set(Some(0));
    let result = run();
    (result, LARGEST.take().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn a_reader_that_believes_a_length_is_seen() {
        let read = |says: usize| {
            let mut bytes: Vec<u8> = Vec::with_capacity(says.min(1 << 40));
            bytes.push(7);
            bytes
        };
        let (bytes, largest) = largest(|| read((1 << 28) - 1));
        assert_eq!(bytes, [7]);
        assert_eq!(largest, (1 << 28) - 1);
    }

    #[test]
    fn memory_that_grows_and_that_of_others_is_told_apart() {
        let other = std::thread::spawn(|| vec![1_u8; 1 << 20]);
        let ((), mine) = largest(|| {
            let mut bytes = vec![0_u8; 100];
            bytes.reserve_exact(4_900);
        });
        assert_eq!(mine, 5_000);
        assert_eq!(other.join().map(|bytes| bytes.len()).ok(), Some(1 << 20));
    }
}
