//! What a stop did is written down, told and measured at the next start.

use crate::stopping::{Does, Told, prepared};
use crate::support::passes;
use mainstay_supervise::{Drained, StopPhase, StopRecord};

#[tokio::test]
async fn a_run_of_bad_stops_is_noticed_at_the_next_start() {
    let (_supervisor, clock, stopping, _said) = prepared();
    let clean = passes(&clock, stopping.run()).await;
    let (_supervisor, _clock, mut stopping, said) = prepared();
    stopping.register(Told::new("the queue", &said)).unwrap();
    let signal = stopping.signal();
    signal.ask("SIGTERM");
    signal.ask("SIGTERM");
    let cut_short = stopping.run().await;

    let mut record = StopRecord::default();
    assert_eq!(record.started(1), None);
    record.stopped(&clean);
    // Killed twice, then cut short.
    for start in 2..4 {
        assert_eq!(record.started(start), None);
    }
    assert_eq!(record.started(4), None);
    record.stopped(&cut_short);
    let written = serde_json::to_string(&record).unwrap();
    let mut record: StopRecord = serde_json::from_str(&written).unwrap();
    let stop = record.lives().last().and_then(|life| life.stop.as_ref());
    let stop = stop.unwrap();
    assert_eq!(stop.phases, cut_short.phases);
    assert_eq!(stop.drained, Some(cut_short.drained()));
    let bad = record.started(5).unwrap();
    assert_eq!((bad.in_a_row, bad.not_stopped), (3, 2));
    assert!(
        bad.complaints
            .contains(&"the queue was not drained".to_owned())
    );
    let metrics = record.prometheus();
    assert!(
        metrics.contains("mainstay_stops{outcome=\"none\"} 2\n"),
        "{metrics}"
    );
    record.stopped(&clean);
    assert_eq!(record.started(6), None, "a clean one ends the run");
    for start in 0..100 {
        record.started(start);
    }
    assert_eq!(record.lives().len(), StopRecord::LIVES_MAX);
}

#[tokio::test]
async fn how_long_each_phase_took_and_what_became_of_the_work_is_remembered_and_measured() {
    let (_supervisor, clock, mut stopping, said) = prepared();
    for (name, drains) in [("the queue", Does::Well), ("the delivery", Does::Hangs)] {
        let mut told = Told::new(name, &said);
        told.drains = drains;
        stopping.register(told).unwrap();
    }
    let report = passes(&clock, stopping.run()).await;
    let sum = Drained {
        completed: 3,
        cancelled: 0,
        left: 7,
    };
    assert_eq!(report.drained(), sum, "of one that hangs, what it told");
    assert_eq!(report.phase_ms(StopPhase::Drain), Some(60_000));
    assert_eq!(report.phase_ms(StopPhase::Over), None);

    let mut record = StopRecord::default();
    record.started(1);
    record.stopped(&report);
    let metrics = record.prometheus();
    for line in [
        "mainstay_last_stop_phase_seconds{phase=\"drain\"} 60\n",
        "mainstay_last_stop_phase_seconds{phase=\"cancel\"} 60\n",
        "mainstay_last_stop_work{became=\"completed\"} 3\n",
        "mainstay_last_stop_work{became=\"cancelled\"} 0\n",
        "mainstay_last_stop_work{became=\"left\"} 7\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// A record of a version that did not write them down was to be read, and says nothing of them.
#[test]
fn a_record_without_phases_is_read_and_none_are_made_up() {
    let old =
        r#"{"lives":[{"started_ms":1,"stop":{"outcome":"clean","took_ms":1200,"complaints":[]}}]}"#;
    let record: StopRecord = serde_json::from_str(old).unwrap();
    let stop = record.lives()[0].stop.clone().unwrap();
    assert_eq!((stop.took_ms, stop.drained), (1_200, None));
    assert!(stop.phases.is_empty());
    let metrics = record.prometheus();
    assert!(
        metrics.contains("mainstay_last_stop_seconds 1.2\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("mainstay_last_stop_phase"), "{metrics}");
    assert!(!metrics.contains("mainstay_last_stop_work"), "{metrics}");
}
