//! Durable documents: all candidates, all shapes, on the disk as it is and on a journaled image.

use crate::candidate::{CONTROL, Candidate};
use crate::image::Image;
use crate::options::Options;
use crate::report::Report;
use anyhow::Result;
use mainstay_bench::Shape;
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn measure(options: &Options) -> Result<String> {
    let mut candidates = Candidate::all(options.rivals.as_deref())?;
    candidates.retain(|one| one.name == CONTROL || options.wants_candidate(&one.name));
    let mut text = String::new();
    if options.wants_disk("plain") {
        writeln!(
            text,
            "\n## 1 KiB documents, each durable, on the disk as it is"
        )?;
        write!(text, "{}", rounds(options, &candidates, &options.folder)?)?;
    }
    if !options.wants_disk("journaled") {
        return Ok(text);
    }
    let scratch = tempfile::Builder::new()
        .prefix("mainstay-bench-")
        .tempdir_in(&options.folder)?;
    writeln!(text, "\n## The same on a journaled ext4 image")?;
    match Image::mount(scratch.path()) {
        Ok(image) => write!(text, "{}", rounds(options, &candidates, image.path())?)?,
        Err(error) => writeln!(text, "\nNot measured: {error:#}.")?,
    }
    Ok(text)
}

fn rounds(options: &Options, candidates: &[Candidate], folder: &Path) -> Result<Report> {
    let mut report = Report::default();
    for round in 1..=options.rounds {
        for shape in Shape::ALL
            .into_iter()
            .filter(|shape| options.wants_shape(*shape))
        {
            for candidate in candidates {
                let scratch = tempfile::Builder::new()
                    .prefix("mainstay-bench-")
                    .tempdir_in(folder)?;
                report.add(
                    shape,
                    &candidate.name,
                    candidate.measure(shape, scratch.path())?,
                );
            }
        }
        println!(
            "queue, {}: round {round} of {}",
            folder.display(),
            options.rounds
        );
    }
    Ok(report)
}
