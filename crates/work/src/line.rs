//! Who goes next: the most urgent, the oldest of those, and now and then one who was passed over long enough.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How many jobs in a row may pass over one that is less urgent and could go. A sixteenth of the workers' turns is little for
/// the urgent, and enough for the rest to get on.
pub(crate) const PASSED_MAX: u32 = 16;

/// How urgent a job is, among those that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody waits and looks at it.
    High,
    /// Everything else.
    #[default]
    Normal,
    /// What may as well be done later: scrubbing, pruning.
    Low,
}

/// Jobs that wait, and how many of each kind are under way.
#[derive(Debug)]
pub(crate) struct Line<T> {
    levels: [Level<T>; 3],
    /// How many of each kind may be under way; kinds without a row are not limited.
    at_once: HashMap<&'static str, usize>,
    under_way: HashMap<&'static str, usize>,
    length: usize,
}

/// Those of one priority, in the order of their ids, apart by kind: a kind that has to wait holds up no other.
#[derive(Debug)]
struct Level<T> {
    kinds: BTreeMap<&'static str, VecDeque<(u64, T)>>,
    /// How many in a row passed over the oldest here that could have gone.
    passed: u32,
}

impl<T> Line<T> {
    pub(crate) fn new(at_once: HashMap<&'static str, usize>) -> Self {
        Self {
            levels: std::array::from_fn(|_| Level {
                kinds: BTreeMap::new(),
                passed: 0,
            }),
            at_once,
            under_way: HashMap::new(),
            length: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Puts one at the end; ids grow.
    pub(crate) fn push(&mut self, priority: Priority, kind: &'static str, id: u64, item: T) {
        let kinds = &mut self.levels[priority as usize].kinds;
        kinds.entry(kind).or_default().push_back((id, item));
        self.length += 1;
    }

    /// Takes out who goes next, whose kind is under way once more from here on.
    pub(crate) fn next(&mut self) -> Option<T> {
        let heads: [Option<(u64, &'static str)>; 3] = std::array::from_fn(|level| self.head(level));
        let urgent = heads.iter().position(Option::is_some)?;
        // Where two are due after as many turns, the last, which is the less urgent.
        let due = (urgent + 1..heads.len())
            .filter(|&level| heads[level].is_some())
            .max_by_key(|&level| self.levels[level].passed)
            .filter(|&level| PASSED_MAX <= self.levels[level].passed);
        let chosen = due.unwrap_or(urgent);
        for (level, head) in heads.iter().enumerate().skip(chosen + 1) {
            if head.is_some() {
                self.levels[level].passed += 1;
            }
        }
        self.levels[chosen].passed = 0;
        let (id, kind) = heads[chosen]?;
        let item = self.take(chosen, kind, id)?;
        *self.under_way.entry(kind).or_default() += 1;
        Some(item)
    }

    /// One of this kind is no longer under way.
    pub(crate) fn finished(&mut self, kind: &'static str) {
        if let Some(count) = self.under_way.get_mut(kind) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.under_way.remove(kind);
            }
        }
    }

    /// Takes out one that need not wait any longer.
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let (level, kind) = self.levels.iter().enumerate().find_map(|(index, level)| {
            let found = level
                .kinds
                .iter()
                .find(|(_, queue)| queue.binary_search_by_key(&id, |(id, _)| *id).is_ok());
            found.map(|(kind, _)| (index, *kind))
        })?;
        self.take(level, kind, id)
    }

    /// Those that wait, the most urgent priority first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let kinds = self.levels.iter().flat_map(|level| level.kinds.values());
        kinds.flatten().map(|(_, item)| item)
    }

    /// From here on no kind has a limit.
    pub(crate) fn lift_limits(&mut self) {
        self.at_once.clear();
    }

    /// Takes out all.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.length = 0;
        let levels = self.levels.iter_mut();
        let kinds = levels.flat_map(|level| std::mem::take(&mut level.kinds).into_values());
        kinds.flatten().map(|(_, item)| item).collect()
    }

    /// The oldest of a priority whose kind has room.
    fn head(&self, level: usize) -> Option<(u64, &'static str)> {
        let kinds = self.levels[level].kinds.iter();
        kinds
            .filter(|(kind, _)| self.has_room(kind))
            .filter_map(|(kind, queue)| queue.front().map(|(id, _)| (*id, *kind)))
            .min()
    }

    fn has_room(&self, kind: &'static str) -> bool {
        let under_way = self.under_way.get(kind).copied().unwrap_or(0);
        self.at_once.get(kind).is_none_or(|most| under_way < *most)
    }

    fn take(&mut self, level: usize, kind: &'static str, id: u64) -> Option<T> {
        let kinds = &mut self.levels[level].kinds;
        let queue = kinds.get_mut(kind)?;
        let at = queue.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let (_, item) = queue.remove(at)?;
        if queue.is_empty() {
            kinds.remove(kind);
        }
        self.length -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(at_once: &[(&'static str, usize)]) -> Line<u64> {
        Line::new(at_once.iter().copied().collect())
    }

    #[test]
    fn the_most_urgent_of_those_that_wait_goes_first_and_the_oldest_of_those() {
        let mut line = line(&[]);
        let priorities = [
            Priority::Low,
            Priority::Normal,
            Priority::High,
            Priority::Normal,
            Priority::High,
        ];
        for (id, priority) in (0..).zip(priorities) {
            line.push(priority, "", id, id);
        }
        let order: Vec<u64> = std::iter::from_fn(|| line.next()).collect();
        assert_eq!(order, [2, 4, 1, 3, 0]);
    }

    #[test]
    fn a_kind_that_has_to_wait_holds_up_no_other() {
        let mut line = line(&[("disk", 1)]);
        line.push(Priority::High, "disk", 0, 0);
        line.push(Priority::High, "disk", 1, 1);
        line.push(Priority::Low, "net", 2, 2);
        assert_eq!(line.next(), Some(0));
        assert_eq!(line.next(), Some(2));
        assert_eq!(line.next(), None);
        line.finished("disk");
        assert_eq!(line.next(), Some(1));
    }

    #[test]
    fn one_that_is_taken_out_goes_no_more_and_the_others_do() {
        let mut line = line(&[]);
        for id in 0..4 {
            line.push(Priority::Normal, "", id, id);
        }
        assert_eq!(line.remove(1), Some(1));
        assert_eq!(line.remove(1), None);
        assert_eq!(line.len(), 3);
        let order: Vec<u64> = std::iter::from_fn(|| line.next()).collect();
        assert_eq!(order, [0, 2, 3]);
        assert_eq!(line.len(), 0);
    }

    proptest! {
        /// Jobs come and go in any order: each is taken once, only where its kind has room, after all of its like that came
        /// before it, and no priority that could have gone is passed over more often than the rule says; once more where
        /// two of them are due.
        #[test]
        fn nobody_who_could_go_is_passed_over_for_ever(
            steps in prop::collection::vec((0..3_usize, 0..3_usize, 0..8_u8), 1..600),
        ) {
            const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];
            const KINDS: [(&str, usize); 3] = [("a", 1), ("b", 2), ("c", usize::MAX)];
            let mut line = line(&KINDS[..2]);
            let mut waiting: Vec<(u64, usize, usize)> = Vec::new();
            let mut running: Vec<usize> = Vec::new();
            let mut passed = [0; 3];
            for (id, (priority, kind, what)) in (0..).zip(steps) {
                if what < 4 {
                    line.push(PRIORITIES[priority], KINDS[kind].0, id, id);
                    waiting.push((id, priority, kind));
                    continue;
                }
                if what < 7 && !running.is_empty() {
                    line.finished(KINDS[running.swap_remove(0)].0);
                }
                let could_go: Vec<(u64, usize, usize)> = waiting
                    .iter()
                    .copied()
                    .filter(|(_, _, kind)| {
                        running.iter().filter(|running| *running == kind).count() < KINDS[*kind].1
                    })
                    .collect();
                let Some(taken) = line.next() else {
                    prop_assert!(could_go.is_empty());
                    continue;
                };
                let oldest = |level| could_go.iter().find(|(_, other, _)| *other == level);
                let chosen = (0..3).find(|level| oldest(*level).is_some_and(|(id, ..)| *id == taken));
                prop_assert!(chosen.is_some(), "{taken} was not the oldest of its priority");
                let chosen = chosen.unwrap();
                for (level, passed) in passed.iter_mut().enumerate().skip(chosen + 1) {
                    if oldest(level).is_some() {
                        *passed += 1;
                        prop_assert!(*passed <= PASSED_MAX + 1);
                    }
                }
                passed[chosen] = 0;
                let at = waiting.iter().position(|(id, ..)| *id == taken);
                running.push(waiting.remove(at.unwrap()).2);
                prop_assert_eq!(line.len(), waiting.len());
            }
        }

        /// However many more urgent ones keep coming, every seventeenth turn at the latest is one of the less urgent.
        #[test]
        fn an_endless_stream_of_urgent_ones_starves_nobody(with_normal: bool) {
            let mut line = line(&[]);
            line.push(Priority::Low, "", 0, 0);
            let mut turn = 0;
            for id in 1.. {
                line.push(Priority::High, "", 2 * id, 2 * id);
                if with_normal {
                    line.push(Priority::Normal, "", 2 * id + 1, 2 * id + 1);
                }
                turn += 1;
                if line.next() == Some(0) {
                    break;
                }
                prop_assert!(turn <= PASSED_MAX, "{turn} turns went by");
            }
        }
    }
}
