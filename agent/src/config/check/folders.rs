//! Folders that must not lie in each other: what is taken must not be what is kept.

use super::Check;
use crate::config::document;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;

/// A drop folder that was seen, and where it is said.
struct Watched {
    folder: PathBuf,
    recursive: bool,
    place: String,
}

impl Check<'_> {
    /// Checks every drop folder against the data folder, the other drop folders and the folders that documents go to.
    pub(super) fn folders(&mut self, routes: &[Spanned<document::Route>]) {
        let mut watched: Vec<Watched> = Vec::new();
        for from in routes
            .iter()
            .filter_map(|route| route.get_ref().from.as_ref())
        {
            let from = from.get_ref();
            let Some(path) = &from.folder else {
                continue;
            };
            let span = path.span();
            let folder = resolved(&self.source.folder().join(path.get_ref()));
            let recursive = from.recursive.unwrap_or(false);
            self.against_data(&folder, &span);
            if let Some(other) = watched
                .iter()
                .find(|other| overlap(other, &folder, recursive))
            {
                let message = format!(
                    "files in `{}` would be taken by two routes, see {}",
                    folder.display(),
                    other.place
                );
                self.refuse(&span, message, "give each route a drop folder of its own");
            }
            watched.push(Watched {
                folder,
                recursive,
                place: self.source.place(&span),
            });
        }
        self.against_destinations(routes, &watched);
    }

    fn against_data(&mut self, folder: &Path, span: &Range<usize>) {
        let data = resolved(self.data.path());
        let shown = folder.display();
        if data.starts_with(folder) {
            let message = format!(
                "the data folder `{}` lies in the drop folder `{shown}`",
                data.display()
            );
            self.refuse(span, message, "whoever drops files could reach what is kept; move one of them, for example with --data");
        } else if folder.starts_with(&data) && !folder.starts_with(data.join("inbox")) {
            let message = format!("the drop folder `{shown}` lies in the data folder");
            self.refuse(
                span,
                message,
                "only `inbox` in the data folder may be one; choose a folder elsewhere",
            );
        }
    }

    /// A document that is delivered into a drop folder would go round for ever.
    fn against_destinations(&mut self, routes: &[Spanned<document::Route>], watched: &[Watched]) {
        for destination in routes.iter().flat_map(|route| route.get_ref().to.values()) {
            let Some(path) = &destination.get_ref().path else {
                continue;
            };
            let folder = resolved(&self.source.folder().join(path.get_ref()));
            let taken = watched.iter().find(|drop| {
                folder == drop.folder || (drop.recursive && folder.starts_with(&drop.folder))
            });
            if let Some(drop) = taken {
                let message = format!(
                    "what is delivered to `{}` would be taken again, see {}",
                    folder.display(),
                    drop.place
                );
                self.refuse(
                    &path.span(),
                    message,
                    "deliver to a folder that no route takes files from",
                );
            }
        }
    }
}

fn overlap(one: &Watched, folder: &Path, recursive: bool) -> bool {
    one.folder == folder
        || (one.recursive && folder.starts_with(&one.folder))
        || (recursive && one.folder.starts_with(folder))
}

/// The folder without links and dots, as far as it exists; what does not exist is taken by its words.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for known in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (known.canonicalize(), absolute.strip_prefix(known)) {
            return rest.components().fold(real, |mut path, part| {
                match part {
                    Component::ParentDir => drop(path.pop()),
                    other => path.push(other),
                }
                path
            });
        }
    }
    absolute
}
