//! `calls NUMBER`: what other protections cost a call, in nanoseconds, as JSON.

use anyhow::{Context as _, Result};
use backon::BlockingRetryable;
use failsafe::CircuitBreaker as _;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tower_layer::Layer;
use tower_resilience::circuitbreaker::CircuitBreakerLayer;
use tower_service::Service;

pub fn run(words: &[&str]) -> Result<()> {
    let [number] = words else {
        anyhow::bail!("calls NUMBER");
    };
    let calls: u32 = number.parse().context("NUMBER")?;
    let mut figures = Vec::new();
    let mut time = |name: &str, call: &mut dyn FnMut()| {
        let begun = Instant::now();
        for _ in 0..calls {
            call();
        }
        let nanos = begun.elapsed().as_nanos() as f64 / f64::from(calls);
        figures.push((name.to_owned(), nanos));
    };
    let works = || Ok::<u32, ()>(black_box(1));

    let breaker = failsafe::Config::new().build();
    time("failsafe, closed", &mut || {
        black_box(breaker.call(works)).ok();
    });
    let wait = failsafe::backoff::constant(std::time::Duration::from_secs(3_600));
    let policy = failsafe::failure_policy::consecutive_failures(1, wait);
    let open = failsafe::Config::new().failure_policy(policy).build();
    open.call(|| Err::<(), ()>(())).ok();
    time("failsafe, open", &mut || {
        black_box(open.call(works)).ok();
    });

    let wide = NonZeroU32::new(1_000_000_000).context("a number above 0")?;
    let limiter = governor::RateLimiter::direct(governor::Quota::per_second(wide));
    time("governor, allowed", &mut || {
        black_box(limiter.check()).ok();
    });
    let narrow = governor::RateLimiter::direct(governor::Quota::per_hour(NonZeroU32::MIN));
    time("governor, refused", &mut || {
        black_box(narrow.check()).ok();
    });

    let builder = backon::ExponentialBuilder::default();
    time("backon, nothing to do", &mut || {
        black_box(works.retry(builder).call()).ok();
    });

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let _inside = runtime.enter();
    let layer = CircuitBreakerLayer::builder().build()?;
    let mut service = layer.layer(Works);
    time("tower-resilience breaker, closed", &mut || {
        let mut call = pin!(service.call(()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_ready());
    });
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

#[derive(Clone)]
struct Works;

impl Service<()> for Works {
    type Response = u32;
    type Error = std::io::Error;
    type Future = Ready<std::io::Result<u32>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(black_box(1)))
    }
}
