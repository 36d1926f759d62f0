//! An hour of a server that is sick in every way, in no time: all protections together, and what none of them may let happen.

use mainstay_clock::{Clock, ManualClock, Moment, SharedClock};
use mainstay_resilience::{
    Backoff, Breaker, BreakerSettings, BreakerState, BudgetSettings, Bulkhead, BulkheadSettings,
    Category, Class, Classify, Error, Random, RateLimit, RateLimiter, RetryBudget, RetrySettings,
    Severity, Stack, within,
};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_hours(1);
/// At the end the server is well, so that it can be seen that nothing is left.
const CALM: Duration = Duration::from_mins(5);

const CALLERS: u32 = 40;
const PLACES: u32 = 8;
const BURST: u32 = 10;
const RATE: u32 = 5;
const FAILURES: u32 = 5;
const OPEN_FOR: Duration = Duration::from_secs(10);
/// Of all calls of the hour: so few that it is the budget that ends retries, and not breaker and limiter.
const SHARE: f64 = 0.002;

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Well,
    /// Every second call fails.
    Sick,
    /// All fail at once.
    Down,
    /// Nothing answers.
    Hung,
    /// It wants to be left alone for a while.
    Busy,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Broken,
    Busy(Duration),
    /// The caller's own mistake.
    Wrong,
}

impl Classify for Fault {
    fn class(&self) -> Class {
        match self {
            Self::Broken => Class::retryable(Category::Network, Severity::Medium),
            Self::Busy(wait) => Class {
                retry_after: Some(*wait),
                ..Class::retryable(Category::Resource, Severity::Low)
            },
            Self::Wrong => Class::permanent(Category::Validation, Severity::Low),
        }
    }
}

struct World {
    clock: ManualClock,
    random: Random,
    phase: Cell<Phase>,
    under_way: Cell<u32>,
    /// When each attempt reached the server.
    begun: RefCell<Vec<Moment>>,
    /// Attempts in this phase.
    of_phase: Cell<u32>,
    runs: Cell<u32>,
    /// Attempts that were not the first of their run.
    retries: Cell<u32>,
    given_up: Cell<u32>,
}

/// A call that is under way, until it ends or is dropped.
struct UnderWay<'a>(&'a World);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl World {
    fn between(&self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least + self.random.fraction() * (most - least))
    }

    /// The server.
    async fn answer(&self) -> Result<u32, Fault> {
        self.under_way.set(self.under_way.get() + 1);
        let _under_way = UnderWay(self);
        assert!(self.under_way.get() <= PLACES, "more than there are places");
        self.begun.borrow_mut().push(self.clock.now());
        self.of_phase.set(self.of_phase.get() + 1);
        let chance = self.random.fraction();
        match self.phase.get() {
            Phase::Down => return Err(Fault::Broken),
            Phase::Hung => std::future::pending().await,
            Phase::Busy => return Err(Fault::Busy(self.between(1.0, 20.0))),
            Phase::Well | Phase::Sick => self.clock.sleep(self.between(0.05, 2.0)).await,
        }
        match self.phase.get() {
            _ if chance < 0.05 => Err(Fault::Wrong),
            Phase::Sick if chance < 0.5 => Err(Fault::Broken),
            _ => Ok(7),
        }
    }

    /// Somebody who asks again and again, and now and then loses patience.
    async fn ask(&self, stack: &Stack, ends: Moment) {
        while self.clock.now() < ends {
            self.clock.sleep(self.between(0.0, 4.0)).await;
            let (left, patience) = (self.between(1.0, 30.0), self.between(0.5, 60.0));
            let begun = self.clock.now();
            self.runs.set(self.runs.get() + 1);
            let run = stack.run_within(left, |attempt| {
                let is_retry = attempt.number > 1;
                self.retries.set(self.retries.get() + u32::from(is_retry));
                self.answer()
            });
            let result = within(&self.clock, patience, run).await;
            let took = self.clock.now().since(begun);
            assert!(
                took <= left.min(patience) + STEP,
                "{took:?} of {left:?}: {result:?}"
            );
            if result.is_none() {
                self.given_up.set(self.given_up.get() + 1);
            }
        }
    }
}

/// An hour with this seed; answers how many attempts there were.
fn an_hour(seed: u64) -> usize {
    let clock = ManualClock::new();
    let shared: SharedClock = Arc::new(clock.clone());
    let breaker = BreakerSettings {
        consecutive: Some(FAILURES),
        open_for: OPEN_FOR,
        ..BreakerSettings::default()
    };
    let breaker = Arc::new(Breaker::new("hub", breaker, shared.clone()).unwrap());
    let limit = RateLimit {
        permits: RATE,
        per: Duration::from_secs(1),
        burst: BURST,
    };
    let limiter = Arc::new(RateLimiter::new("hub", limit, shared.clone()).unwrap());
    // Nobody waits for a place, so that what the limiter lets pass begins at that moment.
    let places = BulkheadSettings {
        max_concurrent: PLACES,
        max_wait: Duration::ZERO,
        ..BulkheadSettings::default()
    };
    let bulkhead = Arc::new(Bulkhead::new("hub", places, shared.clone()).unwrap());
    let budget = BudgetSettings {
        share: SHARE,
        least: 0,
        window: HOUR,
    };
    let budget = Arc::new(RetryBudget::new(budget, shared.clone()).unwrap());
    let retry = RetrySettings {
        backoff: Backoff::doubling(Duration::from_millis(500), Duration::from_secs(10)),
        deadline: None,
        ..RetrySettings::default()
    };
    let stack = Stack::builder("hub", shared)
        .retry(retry)
        .budget(budget)
        .breaker(Arc::clone(&breaker))
        .limiter(limiter, Duration::from_secs(5))
        .bulkhead(Arc::clone(&bulkhead))
        .build()
        .unwrap();

    let world = Rc::new(World {
        clock: clock.clone(),
        random: Random::from_seed(seed),
        phase: Cell::new(Phase::Well),
        under_way: Cell::new(0),
        begun: RefCell::default(),
        of_phase: Cell::new(0),
        runs: Cell::new(0),
        retries: Cell::new(0),
        given_up: Cell::new(0),
    });
    let ends = clock.now() + HOUR;
    let mut asking: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = (0..CALLERS)
        .map(|_| Box::pin(world.ask(&stack, ends)) as _)
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let (mut phase_began, mut phase_ends) = (clock.now(), clock.now());
    while !asking.is_empty() {
        // Twice: what one of them gives back, another may wait for.
        for _ in 0..2 {
            asking.retain_mut(|caller| caller.as_mut().poll(&mut context).is_pending());
        }
        clock.advance(STEP);
        let now = clock.now();
        if phase_ends <= now {
            let lasted = now.since(phase_began);
            if world.phase.get() == Phase::Down {
                // Those that were under way when it opened, and one for each time that it was tried; whoever waited for the limiter
                // meanwhile is asked in no more.
                let probes = lasted.div_duration_f64(OPEN_FOR).ceil() as u32 + 1;
                let most = FAILURES + PLACES + probes;
                assert!(
                    world.of_phase.get() <= most,
                    "{} of {most}",
                    world.of_phase.get()
                );
            }
            let phases = [
                Phase::Well,
                Phase::Sick,
                Phase::Down,
                Phase::Hung,
                Phase::Busy,
            ];
            let next = phases[(world.random.fraction() * 5.0) as usize];
            let is_calm = ends <= now + CALM;
            world.phase.set(if is_calm { Phase::Well } else { next });
            world.of_phase.set(0);
            (phase_began, phase_ends) = (now, now + world.between(20.0, 180.0));
            // The date is nobody's business.
            clock.set_wall((world.random.fraction() * 4e12) as u64);
        }
    }
    drop(asking);

    assert_eq!(world.under_way.get(), 0);
    let status = bulkhead.status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
    assert_eq!(breaker.state(), BreakerState::Closed);
    let begun = world.begun.take();
    for window in [1, 7, 60] {
        let most = BURST + RATE * window;
        let window = Duration::from_secs(u64::from(window));
        let mut first = 0;
        for (last, at) in begun.iter().enumerate() {
            while window <= at.since(begun[first]) {
                first += 1;
            }
            assert!(
                last - first < most as usize,
                "more than {most} in {window:?}"
            );
        }
    }
    let (retries, paid) = (world.retries.get(), SHARE * f64::from(world.runs.get()));
    assert!(f64::from(retries) <= paid, "{retries} of {paid}");
    assert!(retries > 0, "nothing was tried again");
    assert!(world.given_up.get() > 0, "nobody lost patience");
    begun.len()
}

#[test]
fn an_hour_of_every_sickness_oversteps_no_limit_and_leaves_nothing_behind() {
    for seed in 1..=6 {
        let attempts = an_hour(seed);
        assert!(attempts > 1_000, "{attempts}: seed {seed}");
    }
}

/// Whoever was turned away was told so, and by whom: nothing else stands between a caller and a server that is well.
#[test]
fn who_is_turned_away_is_told_by_whom_and_a_failure_is_the_servers_own() {
    let clock: SharedClock = Arc::new(ManualClock::new());
    let places = BulkheadSettings {
        max_concurrent: 1,
        max_wait: Duration::ZERO,
        ..BulkheadSettings::default()
    };
    let bulkhead = Arc::new(Bulkhead::new("hub", places, clock.clone()).unwrap());
    let stack = Stack::builder("hub", clock).bulkhead(Arc::clone(&bulkhead));
    let stack = stack.build().unwrap();
    let held = bulkhead.try_enter().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut run = std::pin::pin!(stack.run(|_| std::future::ready(Err::<(), _>(Fault::Wrong))));
    let result = run.as_mut().poll(&mut context);
    assert!(matches!(
        result,
        std::task::Poll::Ready(Err(Error::Rejected(_)))
    ));
    drop(held);
    let mut run = std::pin::pin!(stack.run(|_| std::future::ready(Err::<(), _>(Fault::Wrong))));
    let result = run.as_mut().poll(&mut context);
    assert!(matches!(
        result,
        std::task::Poll::Ready(Err(Error::Failed(Fault::Wrong)))
    ));
}
