//! What is said of a run: tables for people, a plot, and a line of JSON.

mod figures;
mod plot;
mod tables;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::backlog::Backlog;
use crate::closed_loop::ClosedLoop;
use crate::lifecycle::Lifecycle;

/// The parts that were run and did not fail.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) closed_loop: Option<ClosedLoop>,
    pub(crate) backlog: Option<Backlog>,
}

impl Report {
    /// Every part's table, in Markdown.
    pub(crate) fn tables(&self) -> String {
        let tables = [
            self.lifecycle.as_ref().map(tables::lifecycle),
            self.closed_loop.as_ref().map(tables::closed_loop),
            self.backlog.as_ref().map(tables::backlog),
        ];
        let tables: Vec<_> = tables.into_iter().flatten().collect();
        tables.join("\n")
    }

    /// The figures by name; null where the part was not run.
    pub(crate) fn figures(&self) -> Value {
        figures::all(self)
    }

    /// Writes everything into a folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        plot::save(self, &folder.join("plot.svg"))?;
        write("report.md", self.tables())?;
        write("figures.json", format!("{:#}\n", self.figures()))
    }
}
