//! A fallback around a stack, and a hedge in it.

use super::*;
use crate::budget::{BudgetSettings, RetryBudget};
use crate::hedge::{Hedge, HedgeDelay, HedgeSettings};

/// One copy more after a second.
fn hedge(parts: &Parts) -> Arc<Hedge> {
    let settings = HedgeSettings {
        delay: HedgeDelay::Fixed(SECOND),
        extra: 1,
    };
    Arc::new(Hedge::new(settings, parts.shared.clone()).unwrap())
}

/// As many copies as calls, or none.
fn budget(parts: &Parts, share: f64) -> Arc<RetryBudget> {
    let settings = BudgetSettings {
        share,
        least: 0,
        ..BudgetSettings::default()
    };
    Arc::new(RetryBudget::new(settings, parts.shared.clone()).unwrap())
}

fn hedged(parts: &Parts, share: f64) -> StackBuilder {
    parts
        .builder()
        .idempotent()
        .hedge(hedge(parts))
        .budget(budget(parts, share))
}

/// One call in ten seconds is let through; the others wait.
fn hedged_behind_a_slow_limiter(parts: &Parts) -> Stack {
    let slow = RateLimit {
        permits: 1,
        per: 10 * SECOND,
        burst: 1,
    };
    parts.limiter.set(slow).unwrap();
    hedged(parts, 1.0)
        .limiter(Arc::clone(&parts.limiter), 100 * SECOND)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_copy_that_loses_is_dropped_and_gives_back_what_it_held() {
    for attempts in [None, Some(3)] {
        let parts = parts(10, 2);
        let adaptive = AdaptiveLimit::new("hub", AdaptiveSettings::default(), parts.shared.clone());
        let adaptive = Arc::new(adaptive.unwrap());
        let budget = budget(&parts, 1.0);
        let builder = hedged(&parts, 0.0).budget(Arc::clone(&budget));
        let mut builder = builder.adaptive(Arc::clone(&adaptive));
        if let Some(attempts) = attempts {
            builder = builder.retry(retry(attempts));
        }
        let stack = builder.build().unwrap();
        let (alive, made) = (Arc::new(()), Cell::new(0));
        let result = parts
            .played(stack.run(|attempt| {
                assert_eq!(attempt.number, 1, "a copy is no other attempt");
                made.set(made.get() + 1);
                let (first, held) = (made.get() == 1, Arc::clone(&alive));
                let both_inside = parts.bulkhead.try_enter().is_err();
                async move {
                    if first {
                        pending::<()>().await;
                    }
                    drop(held);
                    Ok::<_, Hiccup>(both_inside)
                }
            }))
            .await;
        assert_eq!(result, Ok(true), "each copy has a place of its own");
        assert_eq!(made.get(), 2);
        assert_eq!(Arc::strong_count(&alive), 1, "the first was dropped");
        assert_eq!(parts.bulkhead.status().in_use, 0);
        assert_eq!(adaptive.status().in_flight, 0);
        assert_eq!(parts.limiter.status().admitted, 2, "each copy counts");
        assert_eq!(parts.breaker.status().failure_count, 0);
        assert_eq!((budget.status().calls, budget.status().retries), (1, 1));
        let status = stack.hedge().unwrap().status();
        assert_eq!((status.extra, status.won, status.denied), (1, 1, 0));
    }
}

#[tokio::test]
async fn without_budget_a_slow_attempt_is_waited_for() {
    let parts = parts(10, 2);
    let stack = hedged(&parts, 0.0).build().unwrap();
    let made = Cell::new(0);
    let slow = stack.run(|_| {
        made.set(made.get() + 1);
        async {
            parts.clock.sleep(5 * SECOND).await;
            Ok::<_, Hiccup>(7)
        }
    });
    assert_eq!(parts.played(slow).await, Ok(7));
    assert_eq!(made.get(), 1);
    assert_eq!(stack.hedge().unwrap().status().denied, 1);
    assert_eq!(parts.limiter.status().admitted, 1);
}

#[tokio::test]
async fn all_copies_together_have_the_time_of_the_call() {
    for attempts in [None, Some(1)] {
        let parts = parts(10, 2);
        let mut builder = hedged(&parts, 1.0).deadline(5 * SECOND);
        if let Some(attempts) = attempts {
            builder = builder.retry(retry(attempts));
        }
        let stack = builder.build().unwrap();
        let (begun, made) = (parts.clock.now(), Cell::new(0));
        let hangs = stack.run(|_| {
            made.set(made.get() + 1);
            pending::<Result<(), Hiccup>>()
        });
        assert_eq!(
            parts.played(hangs).await,
            Err(Error::TimedOut(5 * SECOND)),
            "{attempts:?}"
        );
        assert_eq!(parts.clock.now().since(begun), 5 * SECOND);
        assert_eq!(made.get(), 2);
        assert_eq!(parts.bulkhead.status().in_use, 0);
    }
}

/// It would stand in line behind the first, and take two turns for one answer.
#[tokio::test]
async fn who_waits_for_our_own_limits_makes_no_copy() {
    let parts = parts(1, 2);
    let stack = hedged_behind_a_slow_limiter(&parts);
    parts.limiter.try_acquire(1).unwrap();
    let value = parts.played(stack.run(|_| ready(Ok::<_, Hiccup>(7)))).await;
    assert_eq!(value, Ok(7));
    assert_eq!(parts.limiter.status().admitted, 2, "one before, and one");
    assert_eq!(stack.hedge().unwrap().status().denied, 1);
}

/// The retry looks at the error: a rejection is never tried again, and the failure would have been.
#[tokio::test]
async fn a_copy_that_is_turned_away_does_not_hide_how_the_other_failed() {
    let parts = parts(1, 2);
    let stack = hedged_behind_a_slow_limiter(&parts);
    let result = parts
        .played(stack.run(|_| async {
            parts.clock.sleep(3 * SECOND).await;
            // The copy waits for its turn, and finds this when it comes.
            parts.breaker.force_open();
            Err::<(), _>(Hiccup)
        }))
        .await;
    assert_eq!(result, Err(Error::Failed(Hiccup)));
    assert_eq!(stack.hedge().unwrap().status().extra, 1);
}

#[tokio::test]
async fn a_hedged_stack_that_is_dropped_anywhere_gives_everything_back() {
    for polls in 0..30 {
        let parts = parts(2, 2);
        let stack = hedged(&parts, 1.0)
            .limiter(Arc::clone(&parts.limiter), 100 * SECOND)
            .retry(retry(4))
            .attempt_limit(3 * SECOND)
            .build()
            .unwrap();
        {
            let mut running = pin!(stack.run(|_| pending::<Result<(), Hiccup>>()));
            for _ in 0..polls {
                if futures_util::poll!(running.as_mut()).is_ready() {
                    break;
                }
                parts.clock.advance(SECOND / 2);
            }
        }
        assert_eq!(parts.bulkhead.status().in_use, 0, "after {polls} polls");
        assert_eq!(parts.limiter.status().waiting, 0, "after {polls} polls");
        parts.clock.advance(100 * SECOND);
        assert!(stack.run(|_| ready(Ok::<_, Hiccup>(()))).await.is_ok());
    }
}

#[test]
fn a_hedge_is_refused_where_the_call_is_not_idempotent_or_nobody_pays() {
    let parts = parts(1, 1);
    let refused = |builder: StackBuilder| builder.build().unwrap_err().to_string();
    let unpaid = refused(parts.builder().idempotent().hedge(hedge(&parts)));
    assert!(unpaid.contains("needs a `budget`"), "{unpaid}");
    let unsaid = parts.builder().budget(budget(&parts, 1.0));
    let unsaid = refused(unsaid.hedge(hedge(&parts)));
    assert!(unsaid.contains("say `idempotent`"), "{unsaid}");
    let wrong = [
        Layer::Breaker,
        Layer::Hedge,
        Layer::Limiter,
        Layer::Bulkhead,
    ];
    let wrong = refused(hedged(&parts, 1.0).order(&wrong));
    let expected = "the hedge must stand outside of the breaker";
    assert!(wrong.contains(expected), "{wrong}");
}

#[tokio::test]
async fn a_fallback_stands_outside_of_all_and_is_told_what_ended_the_call() {
    let parts = parts(100, 1);
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let stack = parts
        .builder()
        .retry(retry(2))
        .deadline(10 * SECOND)
        .fallback(move |error: Error<Hiccup>| {
            seen.lock().unwrap().push(error);
            ready(Ok("from the cache"))
        })
        .build()
        .unwrap();
    assert_eq!(stack.order()[..2], [Layer::Fallback, Layer::Deadline]);

    let value = parts.played(stack.run(|_| ready(Ok("fresh")))).await;
    assert_eq!((value, stack.fallbacks()), (Ok("fresh"), 0));
    let failed = parts.played(stack.run(|_| ready(Err(Hiccup)))).await;
    let late = parts
        .played(stack.run_within(SECOND, |_| pending::<Result<_, Hiccup>>()))
        .await;
    assert_eq!(
        parts.breaker.status().failure_count,
        3,
        "what the fallback answered is a failure all the same"
    );
    parts.breaker.force_open();
    let shut = stack.run_as(Priority::High, |_| ready(Ok("fresh")));
    let shut = parts.played(shut).await;
    for value in [failed, late, shut] {
        assert_eq!(value, Ok("from the cache"));
    }
    assert_eq!(stack.fallbacks(), 3);
    let told = told.lock().unwrap();
    assert!(matches!(told[0], Error::Exhausted { attempts: 2, .. }));
    assert_eq!(told[1], Error::TimedOut(SECOND));
    assert!(matches!(&told[2], Error::Rejected(by) if by.by == RejectedBy::Breaker));
}

#[tokio::test]
async fn a_call_that_is_given_up_has_no_fallback() {
    let parts = parts(100, 1);
    let stack = parts
        .builder()
        .retry(retry(2))
        .fallback(|error: Error<Hiccup>| ready(Err::<(), _>(error)))
        .build()
        .unwrap();
    for polls in 1..4 {
        let mut running = pin!(stack.run(|_| ready(Err(Hiccup))));
        for _ in 0..polls {
            assert!(futures_util::poll!(running.as_mut()).is_pending());
        }
    }
    assert_eq!(stack.fallbacks(), 0);
    assert_eq!(parts.bulkhead.status().in_use, 0);
    let asked = parts.played(stack.run(|_| ready(Err(Hiccup)))).await;
    assert!(matches!(asked, Err(Error::Exhausted { attempts: 2, .. })));
    assert_eq!(stack.fallbacks(), 1);
}

#[test]
fn a_fallback_is_not_put_further_in() {
    let parts = parts(1, 1);
    let refused = parts
        .builder()
        .fallback(|error: Error<Hiccup>| ready(Err::<(), _>(error)))
        .order(&[
            Layer::Breaker,
            Layer::Fallback,
            Layer::Limiter,
            Layer::Bulkhead,
        ])
        .build()
        .unwrap_err()
        .to_string();
    let expected = "the fallback must stand outside of the breaker: a failure that was answered would count as a success";
    assert_eq!(refused, expected);
}
