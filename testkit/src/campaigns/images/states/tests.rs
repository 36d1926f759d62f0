use super::*;

/// A disk of a few blocks, and what happens to it.
fn recording(events: Vec<Event>) -> Recording {
    Recording {
        before: vec![Content::new(64 * 1024), Content::new(64 * 1024)],
        events,
    }
}

fn write_to(disk: usize, block: u64, byte: u8) -> Event {
    Event::Write {
        disk,
        offset: block * 4096,
        bytes: vec![byte; 4096].into(),
    }
}

fn said(word: &str) -> Event {
    Event::Said(format!("{word}\n"))
}

const FLUSH: Event = Event::Flush { disk: 0 };

/// The states without torn ones, each with what was said and the first byte of the first three blocks of the first disk.
fn whole(recording: &Recording) -> Vec<(String, [u8; 3])> {
    let mut maker = Maker::new(recording);
    let states = all(recording, 1).into_iter().flatten();
    let mut found = Vec::new();
    for state in states {
        let disks = maker.make(&state);
        if state.torn.is_none() {
            let byte = |block: u64| disks[0].read(block * 4096, 1)[0];
            found.push((recording.said_before(state.at), [byte(0), byte(1), byte(2)]));
        }
    }
    found
}

#[test]
fn what_was_flushed_is_in_every_state_and_what_came_after_in_every_subset() {
    let recording = recording(vec![
        write_to(0, 0, 1),
        FLUSH,
        write_to(0, 1, 1),
        write_to(0, 2, 1),
        FLUSH,
    ]);
    let mut found = whole(&recording);
    found.sort();
    let expected = [[0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]];
    assert_eq!(found, expected.map(|blocks| (String::new(), blocks)));
}

#[test]
fn what_is_said_counts_from_then_on_and_a_flush_before_it_holds() {
    let recording = recording(vec![
        write_to(0, 0, 1),
        said("begun"),
        FLUSH,
        said("done"),
        write_to(0, 1, 1),
    ]);
    let found = whole(&recording);
    let with = |text: &str| -> Vec<[u8; 3]> {
        let states = found.iter().filter(|(said, _)| said == text);
        states.map(|(_, blocks)| *blocks).collect()
    };
    assert_eq!(with(""), [[1, 0, 0], [0, 0, 0]]);
    assert_eq!(with("begun\n"), [[1, 0, 0], [0, 0, 0]]);
    assert_eq!(with("begun\ndone\n"), [[1, 1, 0], [1, 0, 0]]);
}

#[test]
fn a_flush_of_one_disk_does_not_keep_what_another_was_given() {
    let recording = recording(vec![
        write_to(0, 0, 1),
        Event::Flush { disk: 1 },
        said("done"),
    ]);
    let last = whole(&recording).pop().unwrap();
    assert_eq!(last, ("done\n".to_owned(), [0, 0, 0]));
}

#[test]
fn many_writes_are_drawn_from_by_the_seed_and_few_are_all_made() {
    let count = |writes: u64, seed| {
        let events = (0..writes)
            .map(|block| write_to(0, block % 16, 1))
            .collect();
        all(&recording(events), seed).concat()
    };
    let is_whole = |state: &&State| state.torn.is_none();
    assert_eq!(count(10, 1).iter().filter(is_whole).count(), 1024);
    let drawn = count(11, 1);
    let whole = drawn.iter().filter(is_whole).count();
    assert!((100..=200).contains(&whole), "{whole}");
    assert_eq!(drawn, count(11, 1));
    assert_ne!(drawn, count(11, 2));
}

#[test]
fn a_torn_write_has_some_of_its_sectors_whole_and_never_all() {
    let recording = recording(vec![write_to(0, 0, 1)]);
    let mut kinds = BTreeSet::new();
    for seed in 0..100 {
        let state = State {
            at: 1,
            lost: Vec::new(),
            torn: Some((0, seed)),
        };
        let bytes = Maker::new(&recording).make(&state)[0].read(0, 4096);
        let sectors: Vec<u8> = bytes.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert!(
            bytes
                .chunks(SECTOR)
                .all(|sector| sector == [sector[0]; SECTOR])
        );
        kinds.insert(sectors);
    }
    assert!(30 < kinds.len(), "{}", kinds.len());
    for border in 1..8 {
        let beginning = [vec![1; border], vec![0; 8 - border]].concat();
        let end = [vec![0; border], vec![1; 8 - border]].concat();
        assert!(
            kinds.contains(&beginning) && kinds.contains(&end),
            "{border}"
        );
    }
    assert!(!kinds.contains(&vec![1; 8]) && !kinds.contains(&vec![0; 8]));
}

#[test]
fn a_sample_has_something_of_every_moment_and_comes_in_order() {
    let mut events = Vec::new();
    for block in 0..8 {
        events.extend([
            write_to(0, block, 1),
            write_to(0, 15 - block, 2),
            FLUSH,
            said("more"),
        ]);
    }
    let recording = recording(events);
    let states = all(&recording, 1);
    let with_states = states.iter().filter(|states| !states.is_empty()).count();
    let drawn = sample(states.clone(), with_states, 3);
    let moments: Vec<usize> = drawn.iter().map(|state| state.at).collect();
    assert_eq!(moments.len(), with_states);
    assert!(moments.is_sorted_by(|one, next| one < next), "{moments:?}");
    assert_eq!(drawn, sample(states.clone(), with_states, 3));
    let everything = sample(states.clone(), usize::MAX, 3);
    assert_eq!(everything.len(), states.concat().len());
}
