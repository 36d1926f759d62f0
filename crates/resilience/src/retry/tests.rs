use super::*;
use crate::backoff::{Backoff, Jitter};
use crate::budget::BudgetSettings;
use crate::class::{Category, Severity};
use mainstay_clock::{Clock, ManualClock};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Hiccup,
    Asks(u64),
    Wrong,
}

impl Classify for Fault {
    fn class(&self) -> Class {
        match self {
            Self::Hiccup => Class::retryable(Category::Network, Severity::Medium),
            Self::Asks(seconds) => Class::retryable(Category::Resource, Severity::Low)
                .after(Duration::from_secs(*seconds)),
            Self::Wrong => Class::permanent(Category::Validation, Severity::Low),
        }
    }

    fn told(&self) -> Option<String> {
        matches!(self, Self::Hiccup).then(|| "hiccup".to_owned())
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn settings(attempts: u32) -> RetrySettings {
    RetrySettings {
        attempts,
        backoff: Backoff::doubling(SECOND, 10 * SECOND).with_jitter(Jitter::None),
        deadline: None,
        ..RetrySettings::default()
    }
}

fn retry(settings: RetrySettings) -> (Retry, ManualClock) {
    let clock = ManualClock::new();
    let retry = Retry::new("registry", settings, Arc::new(clock.clone())).unwrap();
    (retry, clock)
}

/// Runs it to its end while the clock goes on by itself; answers at which second each attempt began.
async fn played<T>(
    retry: &Retry,
    clock: &ManualClock,
    results: impl Fn(u32) -> Result<T, Fault>,
) -> (Result<T, Error<Fault>>, Vec<u64>) {
    let mut began = Vec::new();
    let seconds = clock.clone();
    let mut running = Box::pin(retry.run(|attempt| {
        began.push(seconds.now().since_origin().as_secs());
        std::future::ready(results(attempt.number))
    }));
    let result = poll_fn(|context| {
        loop {
            if let Poll::Ready(result) = running.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            clock.advance(SECOND);
        }
    })
    .await;
    drop(running);
    (result, began)
}

#[tokio::test]
async fn what_succeeds_is_called_once_and_what_fails_at_most_as_often_as_allowed() {
    let (retry, clock) = retry(settings(4));
    let (result, began) = played(&retry, &clock, |_| Ok("value")).await;
    assert_eq!((result, began), (Ok("value"), vec![0]));

    let succeeds_third = |number| {
        if number < 3 {
            Err(Fault::Hiccup)
        } else {
            Ok(number)
        }
    };
    let (result, began) = played(&retry, &clock, succeeds_third).await;
    assert_eq!((result, began), (Ok(3), vec![0, 1, 3]));

    let (result, began) = played(&retry, &clock, |_| Err::<(), _>(Fault::Hiccup)).await;
    assert_eq!(began, [3, 4, 6, 10]);
    let error = result.unwrap_err();
    assert_eq!(error.inner(), Some(&Fault::Hiccup));
    assert!(matches!(error, Error::Exhausted { attempts: 4, .. }));
    assert!(
        !error.class().is_retryable,
        "nobody multiplies the attempts"
    );
}

#[tokio::test]
async fn what_does_not_help_is_not_done() {
    let (retry, clock) = retry(settings(4));
    let (result, began) = played(&retry, &clock, |_| Err::<(), _>(Fault::Wrong)).await;
    assert_eq!((result, began), (Err(Error::Failed(Fault::Wrong)), vec![0]));

    let rejected = retry
        .run_protected(|_| async {
            let rejection = Rejection::new(RejectedBy::Breaker, &"registry".into(), None);
            Err::<(), Error<Fault>>(rejection.into())
        })
        .await;
    assert!(matches!(rejected, Err(Error::Rejected(_))));

    let then_wrong = |number| {
        Err::<(), _>(if number < 2 {
            Fault::Hiccup
        } else {
            Fault::Wrong
        })
    };
    let (result, began) = played(&retry, &clock, then_wrong).await;
    assert_eq!(result, Err(Error::Failed(Fault::Wrong)));
    assert_eq!(began.len(), 2);
}

#[tokio::test]
async fn a_single_attempt_fails_with_its_own_error() {
    let (retry, clock) = retry(settings(1));
    let (result, _) = played(&retry, &clock, |_| Err::<(), _>(Fault::Hiccup)).await;
    assert_eq!(result, Err(Error::Failed(Fault::Hiccup)));
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_the_least_and_a_too_long_one_ends_it() {
    let (retry, clock) = retry(settings(2));
    let (_, began) = played(&retry, &clock, |_| Err::<(), _>(Fault::Asks(7))).await;
    assert_eq!(began, [0, 7]);
    let (result, began) = played(&retry, &clock, |_| Err::<(), _>(Fault::Asks(61))).await;
    assert_eq!(
        (result, began.len()),
        (Err(Error::Failed(Fault::Asks(61))), 1)
    );
}

#[tokio::test]
async fn the_deadline_covers_attempts_and_pauses() {
    let with_deadline = |seconds| RetrySettings {
        deadline: Some(seconds * SECOND),
        ..settings(100)
    };
    let (retry, clock) = retry(with_deadline(5));
    let (result, began) = played(&retry, &clock, |_| Err::<(), _>(Fault::Hiccup)).await;
    assert_eq!(began, [0, 1, 3], "the next would begin after the end");
    assert!(matches!(result, Err(Error::Exhausted { attempts: 3, .. })));

    let mut hangs = pin!(retry.run(|_| std::future::pending::<Result<(), Fault>>()));
    let result = poll_fn(|context| {
        loop {
            if let Poll::Ready(result) = hangs.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            clock.advance(SECOND);
        }
    })
    .await;
    assert_eq!(result, Err(Error::TimedOut(5 * SECOND)));
    assert_eq!(clock.now().since_origin(), 8 * SECOND);
}

#[tokio::test]
async fn a_used_up_budget_ends_it() {
    let (retry, clock) = retry(settings(4));
    let budget = BudgetSettings {
        share: 2.0,
        least: 0,
        window: 100 * SECOND,
    };
    let budget = RetryBudget::new(budget, Arc::new(clock.clone())).unwrap();
    let retry = retry.paid_by(Arc::new(budget));
    let (result, began) = played(&retry, &clock, |_| Err::<(), _>(Fault::Hiccup)).await;
    assert_eq!(began.len(), 3, "a call pays for two retries");
    assert!(matches!(result, Err(Error::Exhausted { attempts: 3, .. })));
}

#[tokio::test]
async fn a_pause_is_shown_while_it_lasts_and_not_when_it_was_given_up() {
    let (retry, clock) = retry(settings(3));
    let shown = retry.watch();
    {
        let mut running = pin!(retry.run(|_| std::future::ready(Err::<(), _>(Fault::Hiccup))));
        let mut poll =
            async || poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await;
        assert!(poll().await.is_pending());
        let pause = shown.borrow().clone().unwrap();
        assert_eq!((pause.attempt, pause.of, pause.next_in), (2, 3, SECOND));
        assert_eq!(pause.begins, clock.now() + SECOND);
        assert_eq!(pause.error, "hiccup");
        clock.advance(SECOND);
        assert!(poll().await.is_pending());
        assert_eq!(shown.borrow().clone().unwrap().attempt, 3);
    }
    assert_eq!(*shown.borrow(), None);
}

#[tokio::test]
async fn of_several_calls_a_pause_is_shown_until_the_last_is_over() {
    let (retry, _clock) = retry(settings(3));
    let shown = retry.watch();
    let fails = || Box::pin(retry.run(|_| std::future::ready(Err::<(), _>(Fault::Hiccup))));
    let mut calls = [fails(), fails()];
    for call in &mut calls {
        let polled = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    let [first, second] = calls;
    drop(second);
    assert!(shown.borrow().is_some(), "the first still waits");
    drop(first);
    assert_eq!(*shown.borrow(), None);
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_name() {
    for (settings, name) in [
        (settings(0), "attempts"),
        (
            RetrySettings {
                deadline: Some(Duration::ZERO),
                ..settings(1)
            },
            "deadline",
        ),
        (
            RetrySettings {
                backoff: Backoff::doubling(Duration::ZERO, SECOND),
                ..settings(1)
            },
            "backoff",
        ),
    ] {
        let error = Retry::new("x", settings, mainstay_clock::system()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn the_presets_are_those_of_the_prior_programs() {
    let client = RetrySettings::client();
    assert_eq!((client.attempts, client.backoff.max), (4, 10 * SECOND));
    let generic = RetrySettings::generic();
    let bounds: Vec<u128> = (1..=4)
        .map(|failures| generic.backoff.bound(failures).as_millis())
        .collect();
    assert_eq!((generic.attempts, bounds), (3, vec![100, 200, 400, 800]));
}

#[tokio::test]
async fn what_is_tried_again_may_run_on_any_thread() {
    let (retry, _clock) = retry(settings(1));
    let task = tokio::spawn(async move {
        let shared = Arc::new(());
        let call = |attempt: Attempt| {
            let held = Arc::clone(&shared);
            async move {
                tokio::task::yield_now().await;
                drop(held);
                Ok::<_, Fault>(attempt.number)
            }
        };
        retry.run(call).await
    });
    assert_eq!(task.await.unwrap(), Ok(1));
}

#[test]
fn a_call_that_blocks_is_tried_again_until_its_pause_is_cancelled() {
    let (retry, clock) = retry(settings(4));
    let stop = CancellationToken::new();
    let third = |attempt: Attempt| {
        if attempt.number < 3 {
            Err(Fault::Hiccup)
        } else {
            Ok(attempt.number)
        }
    };
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                clock.advance(SECOND);
                std::thread::yield_now();
            }
        });
        let answer = retry.run_blocking(third, &stop);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        answer
    });
    assert_eq!(answer, Ok(3));

    // The clock stands still now: only cancelling ends the pause.
    let cancels = |_| {
        stop.cancel();
        Err::<(), _>(Fault::Hiccup)
    };
    assert_eq!(
        retry.run_blocking(cancels, &stop),
        Err(Error::Failed(Fault::Hiccup))
    );
    assert_eq!(*retry.watch().borrow(), None);
}
