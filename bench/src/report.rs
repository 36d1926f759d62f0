//! Medians, and their ratio to the raw disk.

use crate::candidates::{Candidate, Measured, Shape};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub(crate) struct Report {
    rounds: BTreeMap<(Shape, Candidate), Vec<Measured>>,
}

impl Report {
    pub(crate) fn add(&mut self, shape: Shape, candidate: Candidate, measured: Measured) {
        self.rounds
            .entry((shape, candidate))
            .or_default()
            .push(measured);
    }

    fn median(
        &self,
        shape: Shape,
        candidate: Candidate,
        figure: impl Fn(&Measured) -> f64,
    ) -> Option<f64> {
        let mut figures: Vec<f64> = self
            .rounds
            .get(&(shape, candidate))?
            .iter()
            .map(figure)
            .collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| 1 KiB documents, durable | candidate | documents/s | of raw | flushes/document | written KiB/document |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        for shape in Shape::ALL {
            let raw = self
                .median(shape, Candidate::Raw, Measured::rate)
                .unwrap_or(f64::NAN);
            for candidate in Candidate::ALL {
                let rate = self
                    .median(shape, candidate, Measured::rate)
                    .unwrap_or(f64::NAN);
                let flushes = self
                    .median(
                        shape,
                        candidate,
                        super::candidates::Measured::flushes_per_document,
                    )
                    .unwrap_or(f64::NAN);
                let written = self
                    .median(
                        shape,
                        candidate,
                        super::candidates::Measured::kib_per_document,
                    )
                    .unwrap_or(f64::NAN);
                writeln!(
                    f,
                    "| {shape} | {candidate} | {rate:.0} | {:.2} | {flushes:.3} | {written:.2} |",
                    rate / raw
                )?;
            }
        }
        Ok(())
    }
}
