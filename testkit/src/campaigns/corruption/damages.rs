//! What can become of the bytes of any file, whatever they mean.

/// A file after something was done to it.
pub(super) struct Damaged {
    /// What was done, in words.
    pub(super) what: String,
    /// `None` for no file at all.
    pub(super) bytes: Option<Vec<u8>>,
}

impl Damaged {
    fn new(what: String, bytes: Vec<u8>) -> Self {
        let bytes = Some(bytes);
        Self { what, bytes }
    }
}

/// One bit flipped.
pub(super) fn flip(bytes: &[u8], bit: usize) -> Damaged {
    let mut changed = bytes.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    Damaged::new(format!("bit {bit} flipped"), changed)
}

/// Cut at every length up to `said`, or every so many; and no file.
pub(super) fn at_every_length(
    bytes: &[u8],
    said: usize,
    stride: usize,
) -> impl Iterator<Item = Damaged> + use<'_> {
    let cuts = (0..=said.min(bytes.len().saturating_sub(1)))
        .step_by(stride)
        .map(|len| Damaged::new(format!("cut to {len}"), bytes[..len].to_vec()));
    let gone = Damaged {
        what: "removed".to_owned(),
        bytes: None,
    };
    cuts.chain([gone])
}

/// Pieces zeroed, swapped, duplicated, and replaced by those of other files by their names, at the same place; and the whole
/// file replaced. What changes nothing is left out.
pub(super) fn blocks(
    bytes: &[u8],
    said: usize,
    sizes: &[usize],
    donors: &[(&str, &[u8])],
) -> Vec<Damaged> {
    let mut cases = vec![Damaged::new("zeroed".to_owned(), vec![0; bytes.len()])];
    for (name, donor) in donors {
        let what = format!("replaced by that of {name}");
        cases.push(Damaged::new(what, donor.to_vec()));
    }
    for size in sizes {
        let starts: Vec<usize> = (0..said).step_by(*size).collect();
        for place in &starts {
            let here = *place..(place + size).min(bytes.len());
            let mut put = |what: String, piece: &[u8]| {
                let mut changed = bytes.to_vec();
                let len = piece.len().min(here.len());
                changed[here.start..here.start + len].copy_from_slice(&piece[..len]);
                cases.push(Damaged::new(format!("bytes {here:?} {what}"), changed));
            };
            put("zeroed".to_owned(), &vec![0; *size]);
            for (name, donor) in donors {
                let there = donor.get(here.start..).unwrap_or_default();
                put(format!("replaced by those of {name}"), there);
            }
            for from in starts.iter().filter(|from| *from != place) {
                put(format!("replaced by those at {from}"), &bytes[*from..]);
            }
            for from in starts.iter().filter(|from| *from < place) {
                let len = here.len();
                let mut changed = bytes.to_vec();
                changed[here.clone()].copy_from_slice(&bytes[*from..from + len]);
                changed[*from..from + len].copy_from_slice(&bytes[here.clone()]);
                let what = format!("bytes {here:?} and those at {from} swapped");
                cases.push(Damaged::new(what, changed));
            }
        }
    }
    cases.retain(|case| case.bytes.as_deref() != Some(bytes));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damage_is_one() {
        let bytes: Vec<u8> = (0..=99).collect();
        let donors: [(&str, &[u8]); 2] = [("itself", &bytes), ("zeros", &[0; 40])];
        let all: Vec<Damaged> = (0..800)
            .map(|bit| flip(&bytes, bit))
            .chain(at_every_length(&bytes, 100, 1))
            .chain(blocks(&bytes, 100, &[16], &donors))
            .collect();
        for case in &all {
            assert_ne!(case.bytes.as_deref(), Some(&*bytes), "{}", case.what);
        }
        assert!(
            all.iter()
                .any(|case| case.what == "bytes 16..32 and those at 0 swapped")
        );
    }
}
