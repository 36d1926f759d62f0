//! W8: every way out counts, what lies above the target is kept with its place, and all of it is bounded.

use crate::held::poll;
use mainstay_clock::{Clock, ManualClock};
use mainstay_work::{
    Budget, BudgetReport, Budgets, Bytes, ErrorKind, Level, Operation, OperationReport, Outcome,
    Reading,
};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn budgets() -> (Budgets, Operation<Duration>, ManualClock) {
    let clock = ManualClock::new();
    let budgets = Budgets::new(Arc::new(clock.clone()));
    let item = budgets.define("item", Budget::ITEM).unwrap();
    (budgets, item, clock)
}

fn only(report: &BudgetReport) -> &OperationReport {
    assert_eq!(report.operations.len(), 1);
    &report.operations[0]
}

#[test]
fn each_limit_belongs_to_the_better_side_and_each_budget_is_the_one_of_the_table() {
    let ms = |ms| Budget::STARTUP.level(ms * MS);
    assert_eq!([2_000, 2_001].map(ms), [Level::Ok, Level::Slow]);
    assert_eq!([3_000, 3_001].map(ms), [Level::Slow, Level::Warning]);
    assert_eq!([5_000, 5_001].map(ms), [Level::Warning, Level::Critical]);
    let budgets = Budgets::with_defaults(mainstay_clock::system()).unwrap();
    let table: Vec<String> = budgets
        .report()
        .operations
        .iter()
        .map(|operation| {
            let OperationReport {
                name,
                target,
                warn,
                critical,
                ..
            } = operation;
            format!("{name}: {target}, {warn}, {critical}")
        })
        .collect();
    assert_eq!(
        table,
        [
            "filter: 200.0 ms, 500.0 ms, 1.00 s",
            "item: 250.0 ms, 500.0 ms, 1.00 s",
            "memory: 500.0 MiB, 750.0 MiB, 1000.0 MiB",
            "startup: 2.00 s, 3.00 s, 5.00 s",
            "ui_response: 100.0 ms, 200.0 ms, 500.0 ms",
        ]
    );
    assert!(budgets.time("startup").is_some() && budgets.memory("memory").is_some());
    assert!(budgets.time("memory").is_none() && budgets.time("unknown").is_none());
}

#[test]
fn failures_early_returns_panics_and_dropped_futures_are_timed_like_anything() {
    let (budgets, item, clock) = budgets();
    let take = |ms: u32| clock.advance(ms * MS);
    let guard = item.start();
    take(10);
    guard.finish();
    let guard = item.start();
    take(300);
    guard.fail();
    let leaves_early = || -> Result<u32, std::num::ParseIntError> {
        let guard = item.start();
        take(600);
        let number = "x".parse()?;
        guard.finish();
        Ok(number)
    };
    leaves_early().unwrap_err();
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _guard = item.start();
        take(1_200);
        panic!("in the middle");
    }));
    assert!(panics.is_err());
    let failed = item.measure(|| -> Result<(), &str> {
        take(20);
        Err("no")
    });
    failed.unwrap_err();
    let mut dropped = Box::pin(item.measure_async(pending::<Result<(), ()>>()));
    assert!(poll(&mut dropped).is_none());
    take(400);
    drop(dropped);
    let mut async_done = Box::pin(item.measure_async(async { Ok::<_, ()>(5) }));
    assert_eq!(poll(&mut async_done), Some(Ok(5)));

    let report = budgets.report();
    let operation = only(&report);
    assert_eq!(operation.count, 7);
    assert_eq!(
        operation.outcomes,
        [2, 2, 2, 1],
        "finished, failed, left, panicked"
    );
    assert_eq!(
        operation.levels,
        [3, 2, 1, 1],
        "ok, slow, warning, critical"
    );
    assert_eq!(operation.sum, u128::from(2_530_u64) * 1_000_000);
    assert_eq!(operation.most, Reading::Time(1_200 * MS));
    assert_eq!(
        (operation.worst(), operation.above_target()),
        (Level::Critical, 4)
    );
    let took: Vec<(Level, Outcome)> = report
        .violations
        .iter()
        .map(|violation| (violation.level, violation.outcome))
        .collect();
    let expected = [
        (Level::Slow, Outcome::Left),
        (Level::Critical, Outcome::Panicked),
        (Level::Warning, Outcome::Left),
        (Level::Slow, Outcome::Failed),
    ];
    assert_eq!(took, expected, "the newest first, and slow ones among them");
}

#[test]
fn what_lies_above_the_target_is_kept_with_its_place_and_the_date() {
    let (budgets, item, clock) = budgets();
    let line = line!() + 1;
    let guard = item.start();
    clock.advance(251 * MS);
    clock.set_wall(1_234);
    drop(guard);
    item.record(Duration::from_secs(1), Outcome::Finished);
    let report = budgets.report();
    assert_eq!(report.violations.len(), 2);
    let violation = &report.violations[1];
    assert!(
        violation
            .place
            .contains(&format!("tests/it/budgets.rs:{line}:")),
        "{}",
        violation.place
    );
    assert_eq!(violation.wall_ms, 1_234);
    assert_eq!(violation.took, Reading::Time(251 * MS));
    assert_eq!(violation.target, Reading::Time(250 * MS));
    assert!(report.violations[0].place.contains("budgets.rs"));
}

#[test]
fn a_target_of_zero_is_zero_and_memory_reads_as_memory() {
    let (budgets, _item, _clock) = budgets();
    let none = budgets.define("none", Budget::ms(0, 0, 0)).unwrap();
    assert_eq!(none.record(Duration::ZERO, Outcome::Finished), Level::Ok);
    assert_eq!(none.record(MS, Outcome::Finished), Level::Critical);
    let memory = budgets.define("memory", Budget::MEMORY).unwrap();
    assert_eq!(
        memory.record(Bytes::mib(600), Outcome::Finished),
        Level::Slow
    );
    let report = budgets.report();
    assert_eq!(report.violations[0].took.to_string(), "600.0 MiB");
    assert_eq!(memory.name(), "memory");
}

#[test]
fn a_budget_that_cannot_work_is_refused() {
    let (budgets, _item, _clock) = budgets();
    let kind = |name, budget: Budget<Duration>| {
        let error = budgets.define(name, budget).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        error.kind()
    };
    assert_eq!(kind("item", Budget::ITEM), ErrorKind::Invalid);
    assert_eq!(kind("falls", Budget::ms(3, 2, 1)), ErrorKind::Invalid);
    for name in ["", "Upper", "a b", "a\"b", "a-b"] {
        assert_eq!(kind(name, Budget::ITEM), ErrorKind::Invalid);
    }
    let long: &'static str = "a".repeat(65).leak();
    assert_eq!(kind(long, Budget::ITEM), ErrorKind::Invalid);
}

#[test]
fn a_storm_of_violations_and_of_names_stays_within_its_bounds() {
    let (budgets, item, _clock) = budgets();
    for ms in 0..10_000 {
        item.record(Duration::from_secs(2) + ms * MS, Outcome::Finished);
    }
    let report = budgets.report();
    assert_eq!(report.violations.len(), 256);
    assert_eq!(report.violations_forgotten, 10_000 - 256);
    assert_eq!(
        report.violations[0].took,
        Reading::Time(11_999 * MS),
        "the newest"
    );
    assert_eq!(only(&report).count, 10_000);
    budgets.clear_violations();
    assert!(budgets.report().violations.is_empty());
    assert_eq!(budgets.report().violations_forgotten, 10_000);

    let defined = (0..1_000).filter(|number| {
        let name: &'static str = format!("operation_{number}").leak();
        budgets.define(name, Budget::ITEM).is_ok()
    });
    assert_eq!(defined.count(), 255);
}

#[test]
fn many_threads_measure_and_nothing_is_lost() {
    let (budgets, item, _clock) = budgets();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    item.record(MS, Outcome::Finished);
                }
            });
        }
    });
    let report = budgets.report();
    assert_eq!(only(&report).count, 20_000);
    let recent = only(&report).recent.unwrap();
    assert_eq!(
        (recent.p50, recent.p99),
        (Reading::Time(MS), Reading::Time(MS))
    );
}

#[test]
fn a_date_or_a_clock_that_jumps_makes_no_time_negative() {
    let (budgets, item, clock) = budgets();
    let guard = item.start();
    clock.set_wall(0);
    guard.finish();
    assert_eq!(clock.wall(), 0);
    let guard = item.start();
    clock.advance(Duration::from_hours(24 * 365));
    guard.finish();
    let report = budgets.report();
    assert_eq!(only(&report).levels, [1, 0, 0, 1]);
    let whole = only(&report).whole.unwrap();
    assert!(
        whole.p99 <= Reading::Time(Duration::from_hours(25)),
        "as much as is told apart"
    );
}

#[test]
fn the_report_reads_as_a_table_as_json_and_as_metrics() {
    let (budgets, item, _clock) = budgets();
    for ms in [100, 200, 300, 2_000] {
        item.record(ms * MS, Outcome::Finished);
    }
    item.record(3_000 * MS, Outcome::Failed);
    let report = budgets.report();
    let text = report.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words(lines[0]),
        "operation times target p50 p95 p99 above failed worst"
    );
    assert_eq!(
        words(lines[1]),
        "item 5 250.0 ms 300.0 ms 3.00 s 3.00 s 3 1 critical"
    );
    assert!(lines[2].starts_with("critical: `item` took 3.00 s of 250.0 ms and failed, at "));

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["operations"][0]["target"]["ms"], 250.0);
    assert_eq!(json["operations"][0]["recent"]["p50"]["ms"], 300.0);
    assert_eq!(json["violations"][0]["outcome"], "failed");

    let metrics = report.metrics();
    for line in [
        "# TYPE mainstay_operation_seconds histogram",
        "mainstay_operation_seconds_bucket{operation=\"item\",le=\"0.25\"} 2",
        "mainstay_operation_seconds_bucket{operation=\"item\",le=\"0.5\"} 3",
        "mainstay_operation_seconds_bucket{operation=\"item\",le=\"1\"} 3",
        "mainstay_operation_seconds_bucket{operation=\"item\",le=\"+Inf\"} 5",
        "mainstay_operation_seconds_sum{operation=\"item\"} 5.6",
        "mainstay_operation_seconds_count{operation=\"item\"} 5",
        "mainstay_operation_outcomes_total{operation=\"item\",outcome=\"failed\"} 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    assert!(!metrics.contains("bytes"), "nothing was measured in bytes");
}
