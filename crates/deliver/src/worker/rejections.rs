//! How often a document was rejected, kept where it survives a restart: in the document's last error.
//!
//! Attempts that failed for other reasons do not count, so the queue's own count of attempts is of no use here. The last error
//! of a rejected document begins with its count; any other failure in between replaces it, and the count begins anew. That is
//! what "in a row" means.

/// "rejected 2 of 5 times: …"
pub(super) fn note(count: u32, bury_after: u32, reason: &str) -> String {
    format!("rejected {count} of {bury_after} times: {reason}")
}

/// The count that `note` wrote; 0 for every other text.
pub(super) fn count(last_error: Option<&str>) -> u32 {
    let parse = |text: &str| {
        let (count, rest) = text.strip_prefix("rejected ")?.split_once(" of ")?;
        rest.split_once(" times: ")?.0.parse::<u32>().ok()?;
        count.parse().ok()
    };
    last_error.and_then(parse).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_back() {
        assert_eq!(count(Some(&note(4, 5, "`https://h/` answered 422"))), 4);
        assert_eq!(note(1, 5, "no"), "rejected 1 of 5 times: no");
    }

    #[test]
    fn no_other_text_is_taken_for_a_count() {
        for text in [
            "",
            "rejected",
            "rejected x of 5 times: no",
            "rejected 3 of many times: no",
            "rejected 3 of 5",
            "`h` answered 500",
        ] {
            assert_eq!(count(Some(text)), 0, "{text}");
        }
        assert_eq!(count(None), 0);
    }
}
