//! Items under numbers that stay the same, in memory that grows by pieces and never moves.

/// Grows by 1024 items at a time, so that it is never twice as large as it has to be.
const PIECE: usize = 1024;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    pieces: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        self.len += 1;
        if let Some(number) = self.free.pop() {
            self.pieces[number as usize / PIECE][number as usize % PIECE] = Some(item);
            return number;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        let piece_number = self.pieces.len() - 1;
        let piece = &mut self.pieces[piece_number];
        piece.push(Some(item));
        (piece_number * PIECE + piece.len() - 1) as u32
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.pieces
            .get(number as usize / PIECE)?
            .get(number as usize % PIECE)?
            .as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.pieces
            .get_mut(number as usize / PIECE)?
            .get_mut(number as usize % PIECE)?
            .as_mut()
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let item = self
            .pieces
            .get_mut(number as usize / PIECE)?
            .get_mut(number as usize % PIECE)?
            .take()?;
        self.len -= 1;
        if self.len == 0 {
            // Empty: all of the memory goes back.
            *self = Self::default();
        } else {
            self.free.push(number);
        }
        Some(item)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pieces
            .iter()
            .enumerate()
            .flat_map(|(piece_number, piece)| {
                piece.iter().enumerate().filter_map(move |(place, item)| {
                    item.as_ref()
                        .map(|item| ((piece_number * PIECE + place) as u32, item))
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_until_removed_and_are_used_again() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..3000).map(|item| slab.insert(item)).collect();
        assert_eq!(slab.remove(numbers[1500]), Some(1500));
        assert_eq!(slab.get(numbers[1500]), None);
        assert_eq!(slab.insert(9), numbers[1500]);
        assert_eq!(slab.len(), 3000);
        assert_eq!(slab.iter().count(), 3000);
        for number in numbers {
            slab.remove(number);
        }
        assert_eq!((slab.len(), slab.pieces.len()), (0, 0));
    }
}
