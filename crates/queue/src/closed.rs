//! What a queue leaves to its next start.

/// How a queue was closed. What was confirmed is on the disk in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// So many acknowledgements, retries and burials the disk refused to the end. Their documents are offered again after the next
    /// start, under the same ids.
    pub unrecorded: u64,
    /// Which of its threads had died of a bug, and what to do.
    pub died: Option<String>,
}

impl Closed {
    /// What the next start has to make up for, in words; none where that is nothing.
    pub fn complaint(&self) -> Option<String> {
        if let Some(died) = &self.died {
            return Some(died.clone());
        }
        (self.unrecorded != 0).then(|| {
            format!(
                "{} could not be recorded, as the disk refused it: what was delivered may be sent again, under the same ids",
                match self.unrecorded {
                    1 => "what became of 1 document".to_owned(),
                    number => format!("what became of {number} documents"),
                }
            )
        })
    }
}
