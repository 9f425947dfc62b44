//! How far a long work is, for whoever watches standard error. Where that is no terminal, nothing is drawn.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wharf_server::store_file::Progress;

/// How often what tells nothing of itself is drawn.
const TICK: Duration = Duration::from_millis(120);

const OF_BYTES: &str = "{msg} {bar:30} {bytes} of {total_bytes}  {eta} left";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is sound")
}

/// Cheap to clone; gone from the screen with the last one.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A work that tells how far it is.
    pub(super) fn new(what: &'static str) -> Self {
        Self::with("{msg} {bar:30} {percent}%  {eta} left", what, None)
    }

    /// A work on so many bytes; none where that is not known.
    pub(super) fn of_bytes(what: &'static str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => OF_BYTES,
            None => "{msg} {spinner} {bytes}",
        };
        Self::with(template, what, total)
    }

    fn with(template: &str, what: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let bar = bar.with_style(style(template)).with_message(what);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Something else is done from now on.
    pub(super) fn now(&self, what: &'static str) {
        self.0.set_message(what);
    }

    pub(super) fn tell(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    pub(super) fn tell_bytes(&self, done: u64) {
        self.0.set_position(done);
    }

    /// The same, of so many.
    pub(super) fn tell_bytes_of(&self, done: u64, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
            self.0.set_style(style(OF_BYTES));
        }
        self.0.set_position(done);
    }

    /// Takes it off the screen, for what is printed next.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
