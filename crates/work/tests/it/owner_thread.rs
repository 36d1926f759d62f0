//! W6: what is posted runs on the thread that owns the user interface, inside a real event loop.

use crate::held::{DEADLINE, block_on, poll, pool, wait, workers};
use calloop::{EventLoop, LoopSignal};
use mainstay_work::{ErrorKind, INBOX_DEFAULT, Poster, Turn, Work, inbox};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, ThreadId};

/// What only its own thread may touch: a raw pointer in it says so to the compiler.
struct Screen {
    owner: ThreadId,
    shown: Vec<String>,
    signal: LoopSignal,
    stays_here: *const (),
}

impl Screen {
    fn show(&mut self, text: String) {
        assert_eq!(thread::current().id(), self.owner);
        assert!(self.stays_here.is_null());
        self.shown.push(text);
    }
}

/// An event loop on a thread of its own that sleeps in the kernel until somebody wakes it; answers what was shown.
fn run_screen(use_it: impl FnOnce(Poster<Screen>)) -> Vec<String> {
    let (sender, receiver) = sync_channel(1);
    let screen = thread::spawn(move || {
        let mut event_loop = EventLoop::<Screen>::try_new().unwrap();
        let (ping, wakes) = calloop::ping::make_ping().unwrap();
        let (poster, mut inbox) = inbox(INBOX_DEFAULT, move || ping.ping()).unwrap();
        assert!(poster.is_owner());
        sender.send(poster).unwrap();
        let handle = event_loop.handle();
        handle
            .insert_source(wakes, move |(), (), screen: &mut Screen| {
                inbox.run(screen);
            })
            .unwrap();
        let mut screen = Screen {
            owner: thread::current().id(),
            shown: Vec::new(),
            signal: event_loop.get_signal(),
            stays_here: std::ptr::null(),
        };
        // Without a timeout: nothing but a wake ends the wait.
        event_loop.run(None, &mut screen, |_| {}).unwrap();
        screen.shown
    });
    let poster = wait(&receiver);
    assert!(!poster.is_owner());
    use_it(poster.clone());
    poster
        .post(|screen| screen.signal.stop())
        .expect("the loop still runs");
    // The stop is seen in the turn that runs it.
    screen.join().unwrap()
}

#[test]
fn results_of_jobs_reach_a_real_event_loop_on_its_own_thread() {
    let (pool, _clock) = pool(&workers(2, 100));
    let shown = run_screen(|poster| {
        let jobs: Vec<_> = (0..50)
            .map(|number| {
                let poster = poster.clone();
                let work = Work::new("lookup");
                pool.try_submit(work, move |job| {
                    let text = format!("{} {number}", job.name());
                    Ok(poster.post(move |screen| screen.show(text))?)
                })
                .unwrap()
            })
            .collect();
        for job in jobs {
            job.wait().unwrap();
        }
        let count = poster.call(|screen| screen.shown.len()).unwrap();
        assert_eq!(count.wait().unwrap(), 50);
    });
    assert_eq!(shown.len(), 50);
}

#[test]
fn what_one_thread_posts_runs_in_its_order_however_often_the_loop_sleeps() {
    let shown = run_screen(|poster| {
        for number in 0..1_000 {
            let errand = move |screen: &mut Screen| screen.show(number.to_string());
            block_on(poster.post_when_free(errand)).unwrap();
            if number % 10 == 0 {
                // Waits until the loop has nothing to do any more.
                poster.call(|_| ()).unwrap().wait().unwrap();
            }
        }
    });
    let expected: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_closure_that_panics_is_told_and_the_loop_goes_on() {
    let shown = run_screen(|poster| {
        let panics = poster
            .call(|_| -> u32 { panic!("in the drawing") })
            .unwrap();
        assert_eq!(panics.wait().unwrap_err().kind(), ErrorKind::Closed);
        poster.post(|screen| screen.show("after".into())).unwrap();
    });
    assert_eq!(shown, ["after"]);
}

#[test]
fn it_wakes_once_until_the_owner_looks_and_a_turn_is_no_longer_than_what_was_there() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&wakes);
    let (poster, mut inbox) = inbox(4, move || {
        counts.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    for _ in 0..3 {
        let again = poster.clone();
        // Each posts one more, as an animation does.
        let errand = move |count: &mut u32| {
            *count += 1;
            again.post(|count| *count += 10).unwrap();
        };
        poster.post(errand).unwrap();
    }
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
    let mut count = 0;
    let turn = inbox.run(&mut count);
    assert_eq!(
        (turn.ran, count),
        (3, 3),
        "what came meanwhile waits for the next turn"
    );
    assert_eq!(wakes.load(Ordering::SeqCst), 2, "and has the loop woken");
    assert_eq!(inbox.run(&mut count).ran, 3);
    assert_eq!(count, 33);
    assert_eq!(inbox.run(&mut count), Turn::default());
    assert_eq!(wakes.load(Ordering::SeqCst), 2);
}

#[test]
fn who_posts_never_waits_and_is_told_that_there_is_no_room_or_nobody() {
    let (poster, mut inbox) = inbox::<u32>(1, || {}).unwrap();
    poster.post(|count| *count += 1).unwrap();
    let full = poster.post(|count| *count += 1).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    let mut waiting = Box::pin(poster.post_when_free(|count| *count += 1));
    assert!(poll(&mut waiting).is_none());
    let mut count = 0;
    inbox.run(&mut count);
    poll(&mut waiting).unwrap().unwrap();
    inbox.run(&mut count);
    assert_eq!(count, 2);

    let mut answer = Box::pin(poster.call(|count| *count).unwrap());
    assert!(poll(&mut answer).is_none());
    drop(inbox);
    let gone = poll(&mut answer).unwrap().unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Closed);
    assert_eq!(poster.post(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        mainstay_work::inbox::<u32>(0, || {}).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn no_wake_is_lost_between_many_who_post_and_one_who_sleeps() {
    const EACH: usize = 2_000;
    let (wake, woken) = sync_channel(1);
    // Where there is a wake in the channel already, one more is none.
    let ring = move || wake.try_send(()).unwrap_or_default();
    let (poster, mut inbox) = inbox::<usize>(8, ring).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            let poster = poster.clone();
            scope.spawn(move || {
                for _ in 0..EACH {
                    block_on(poster.post_when_free(|count| *count += 1)).unwrap();
                }
            });
        }
        let mut count = 0;
        while count < 4 * EACH {
            woken.recv_timeout(DEADLINE).expect("a wake was lost");
            inbox.run(&mut count);
        }
    });
}
