//! What the limit should be, from how calls went: arithmetic without locks, clocks or threads.

use super::{AdaptiveRule, AdaptiveSettings};
use mainstay_clock::Moment;
use std::time::Duration;

/// A window of [`AdaptiveRule::Gradient`] takes at least this long, and has at least so many calls: those of concurrency-limits.
const WINDOW: Duration = Duration::from_secs(1);
const WINDOW_CALLS: u32 = 10;

/// So many windows make the first value of the long average; after a single one it would be chance.
const WARM_UP: u32 = 10;

/// The long average may be this far above the latency of now, until it is brought down: after an overload it would otherwise
/// take minutes, in which the limit knows no bound.
const FAR_ABOVE: f64 = 2.0;
const BROUGHT_DOWN: f64 = 0.95;

/// The limit is at most halved by one window.
const GRADIENT_MIN: f64 = 0.5;

/// How one call went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) started: Moment,
    pub(super) ended: Moment,
    /// How many calls were under way when it began or when it ended, whichever is more, with itself.
    pub(super) in_flight: u32,
    /// It was refused for overload, or took too long.
    pub(super) dropped: bool,
}

#[derive(Debug)]
pub(super) struct Estimate {
    settings: AdaptiveSettings,
    limit: f64,
    lowered: Option<Moment>,
    window: Window,
    long: Average,
}

/// Calls that are judged together.
#[derive(Debug, Default)]
struct Window {
    since: Option<Moment>,
    calls: u32,
    answered: u32,
    latency: Duration,
    in_flight: u32,
}

/// An average over the last so many values, roughly; in seconds.
#[derive(Debug, Default)]
struct Average {
    values: u32,
    seconds: f64,
}

// === impl Estimate ===

impl Estimate {
    pub(super) fn new(settings: AdaptiveSettings) -> Self {
        Self {
            settings,
            limit: f64::from(settings.initial),
            lowered: None,
            window: Window::default(),
            long: Average::default(),
        }
    }

    /// Follows other settings, from where it is.
    pub(super) fn set(&mut self, settings: AdaptiveSettings) {
        let (min, max) = (f64::from(settings.min), f64::from(settings.max));
        let limit = self.limit.clamp(min, max);
        let is_same =
            std::mem::discriminant(&self.settings.rule) == std::mem::discriminant(&settings.rule);
        if is_same {
            (self.settings, self.limit) = (settings, limit);
        } else {
            *self = Self {
                limit,
                ..Self::new(settings)
            };
        }
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.settings);
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// What a call usually takes, where the rule asks for that.
    pub(super) fn usual(&self) -> Option<Duration> {
        (0 < self.long.values).then(|| Duration::from_secs_f64(self.long.seconds))
    }

    pub(super) fn learn(&mut self, sample: Sample) {
        let limit = match self.settings.rule {
            AdaptiveRule::Aimd { backoff, timeout } => self.aimd(sample, backoff, timeout),
            AdaptiveRule::Gradient {
                smoothing,
                long_window,
                tolerance,
                queue,
            } => {
                let Some(window) = self.window.add(sample) else {
                    return;
                };
                let target = self.gradient(&window, long_window, tolerance, queue);
                self.limit + smoothing * (target - self.limit)
            }
        };
        let (min, max) = (self.settings.min, self.settings.max);
        self.limit = limit.clamp(f64::from(min), f64::from(max));
    }

    /// One more for as many good calls as the limit counts; a part less for a bad one. Calls that were under way together and
    /// all went wrong tell of one overload, so only one that began after the last step down makes another.
    fn aimd(&mut self, sample: Sample, backoff: f64, timeout: Duration) -> f64 {
        if sample.dropped || timeout < sample.latency() {
            if self
                .lowered
                .is_some_and(|lowered| sample.started <= lowered)
            {
                return self.limit;
            }
            self.lowered = Some(sample.ended);
            self.limit * backoff
        } else if self.is_used(sample.in_flight) {
            self.limit + 1.0 / self.limit
        } else {
            self.limit
        }
    }

    /// What the limit would be without smoothing (Gradient2 of Netflix's concurrency-limits): as much less as calls take longer
    /// than usual, and room for a small queue. Where a call was dropped, the limit goes down as far as it can in a window.
    fn gradient(&mut self, window: &Window, long_window: u32, tolerance: f64, queue: u32) -> f64 {
        let mut gradient = GRADIENT_MIN;
        if let Some(latency) = window.mean() {
            let usual = self.long.add(latency, long_window);
            if window.calls == window.answered {
                gradient = (tolerance * usual / latency).clamp(GRADIENT_MIN, 1.0);
                if !self.is_used(window.in_flight) {
                    return self.limit;
                }
            }
        }
        self.limit * gradient + f64::from(queue)
    }

    /// Whether so many calls use half of the limit: if they do not, it is not what keeps others out, and says nothing.
    fn is_used(&self, in_flight: u32) -> bool {
        self.limit <= f64::from(in_flight) * 2.0
    }
}

// === impl Sample ===

impl Sample {
    fn latency(&self) -> Duration {
        self.ended.since(self.started)
    }
}

// === impl Window ===

impl Window {
    /// Answers the window when it is over.
    fn add(&mut self, sample: Sample) -> Option<Self> {
        let since = *self.since.get_or_insert(sample.started);
        self.calls += 1;
        self.in_flight = self.in_flight.max(sample.in_flight);
        if !sample.dropped {
            self.answered += 1;
            self.latency = self.latency.saturating_add(sample.latency());
        }
        let is_over = WINDOW_CALLS <= self.calls && WINDOW <= sample.ended.since(since);
        is_over.then(|| std::mem::take(self))
    }

    /// What a call took, in seconds and never zero; none where all were dropped.
    fn mean(&self) -> Option<f64> {
        (0 < self.answered).then(|| self.latency.as_secs_f64().max(1e-9) / f64::from(self.answered))
    }
}

// === impl Average ===

impl Average {
    fn add(&mut self, seconds: f64, window: u32) -> f64 {
        self.values = self.values.saturating_add(1);
        let part = if self.values <= WARM_UP {
            1.0 / f64::from(self.values)
        } else {
            2.0 / (f64::from(window) + 1.0)
        };
        self.seconds += part * (seconds - self.seconds);
        if seconds * FAR_ABOVE < self.seconds {
            self.seconds *= BROUGHT_DOWN;
        }
        self.seconds
    }
}
