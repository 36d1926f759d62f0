//! Medians of the rounds, and their ratio to the control of the same rounds.

use crate::candidate::CONTROL;
use mainstay_bench::{Measured, Shape};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The middle one of some figures; of an even number, the upper of the two.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The smallest and the largest.
pub(crate) fn range(figures: &[f64]) -> (f64, f64) {
    figures.iter().fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, most), figure| (least.min(*figure), most.max(*figure)),
    )
}

/// All rounds of all candidates on one disk.
#[derive(Default)]
pub(crate) struct Report {
    /// In the order that they were added.
    names: Vec<String>,
    rounds: BTreeMap<(Shape, String), Vec<Measured>>,
}

impl Report {
    pub(crate) fn add(&mut self, shape: Shape, name: &str, measured: Measured) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.rounds
            .entry((shape, name.to_owned()))
            .or_default()
            .push(measured);
    }

    fn figures(&self, shape: Shape, name: &str, figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
        let rounds = self.rounds.get(&(shape, name.to_owned()));
        rounds.into_iter().flatten().map(figure).collect()
    }

    /// The median of the ratios to the control, each within its own round: what drifts drifts for both.
    fn ratio(&self, shape: Shape, name: &str) -> f64 {
        let rates = self.figures(shape, name, Measured::rate);
        let controls = self.figures(shape, CONTROL, Measured::rate);
        median(
            rates
                .iter()
                .zip(controls)
                .map(|(rate, control)| rate / control)
                .collect(),
        )
    }

    fn row(&self, shape: Shape, name: &str) -> String {
        let rates = self.figures(shape, name, Measured::rate);
        let (least, most) = range(&rates);
        let middle = |figure: fn(&Measured) -> f64| median(self.figures(shape, name, figure));
        let mut row = String::new();
        write!(
            row,
            "| {name} | {:.0} | {least:.0}–{most:.0} | {:.2} ",
            median(rates),
            self.ratio(shape, name)
        )
        .ok();
        write!(
            row,
            "| {:.3} | {:.0} | {:.0} | {:.0} | {:.0} |",
            middle(Measured::flushes_per_document),
            middle(Measured::bytes_per_document),
            middle(|measured| f64::from(measured.p50)),
            middle(|measured| f64::from(measured.p99)),
            middle(|measured| f64::from(measured.worst)),
        )
        .ok();
        row
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shape in Shape::ALL {
            let known: Vec<&String> = self
                .names
                .iter()
                .filter(|name| self.rounds.contains_key(&(shape, (*name).clone())))
                .collect();
            if known.is_empty() {
                continue;
            }
            let title = shape.to_string();
            writeln!(f, "\n{}{}\n", title[..1].to_uppercase(), &title[1..])?;
            writeln!(
                f,
                "| | documents/s | range | of raw | flushes/doc. | bytes/doc. | p50 µs | p99 µs | worst µs |"
            )?;
            writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
            for name in known {
                writeln!(f, "{}", self.row(shape, name))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert!((median(vec![9.0, 1.0, 5.0]) - 5.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }
}
