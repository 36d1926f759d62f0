//! Durable documents: all candidates, all shapes, on the disk as it is and on a journaled image.

use crate::candidate::Candidate;
use crate::image::Image;
use crate::options::Options;
use crate::report::Report;
use anyhow::Result;
use mainstay_bench::Shape;
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn measure(options: &Options) -> Result<String> {
    let candidates = Candidate::all(options.rivals.as_deref())?;
    let mut text = String::new();
    writeln!(
        text,
        "\n## 1 KiB documents, each durable, on the disk as it is"
    )?;
    write!(text, "{}", rounds(options, &candidates, &options.folder)?)?;
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
        for shape in Shape::ALL {
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
