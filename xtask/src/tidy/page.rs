//! Our own pages, as far as the rules have to understand them: tables, and names in backticks.

/// The cells of each table row with its line from 1; rulers (`|---|`) are left out.
pub(super) fn table_rows(page: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    page.lines().enumerate().filter_map(|(index, line)| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let ruler = inner.chars().all(|character| "-:| ".contains(character));
        (!ruler).then(|| (index + 1, cells(inner)))
    })
}

/// Splits at every `|` that is not written as `\|`.
fn cells(row: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut start = 0;
    for (at, _) in row.match_indices('|') {
        if !row[..at].ends_with('\\') {
            cells.push(row[start..at].trim());
            start = at + 1;
        }
    }
    cells.push(row[start..].trim());
    cells
}

/// What stands between backticks.
pub(super) fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_rulers_are_not() {
        let page = "text | no table\n| a | b |\n|---|:-:|\n| `x \\| y` |  |\n";
        let rows: Vec<_> = table_rows(page).collect();
        assert_eq!(rows, [(2, vec!["a", "b"]), (4, vec!["`x \\| y`", ""])]);
    }

    #[test]
    fn names_in_backticks_are_found() {
        assert_eq!(
            quoted("see `a`, `b::c` and d").collect::<Vec<_>>(),
            ["a", "b::c"]
        );
    }
}
