//! The last so many of something.

use std::collections::VecDeque;
use std::sync::Arc;

/// Keeps the newest, and lets the oldest go.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    kept: VecDeque<Arc<T>>,
    capacity: usize,
}

impl<T> Recent<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            capacity,
        }
    }

    pub(crate) fn push(&mut self, item: Arc<T>) {
        self.kept.push_front(item);
        self.kept.truncate(self.capacity);
    }

    /// The newest `limit`, the newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<Arc<T>> {
        self.kept.iter().take(limit).map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_no_more_of_them_than_there_is_room_for() {
        for (capacity, kept) in [(0, vec![]), (1, vec![5]), (3, vec![5, 4, 3])] {
            let mut recent = Recent::new(capacity);
            for item in 1..=5 {
                recent.push(Arc::new(item));
            }
            let newest: Vec<i32> = recent.newest(10).iter().map(|item| **item).collect();
            assert_eq!(newest, kept);
            assert!(recent.newest(0).is_empty());
            assert!(recent.kept.capacity() <= 4);
        }
    }
}
