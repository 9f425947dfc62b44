//! How far a batch is, for whoever watches standard error. Where that is no terminal, nothing is drawn.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) struct Progress {
    bar: ProgressBar,
    accepted: u64,
    refused: u64,
}

impl Progress {
    /// `size` is that of the input, in bytes, where it is known.
    pub(super) fn new(size: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
        let template = match size {
            Some(_) => "{bar:30} {bytes} of {total_bytes}  {msg}  {eta} left",
            None => "{spinner} {bytes}  {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is sound");
        Self {
            bar: bar.with_style(style),
            accepted: 0,
            refused: 0,
        }
    }

    /// That so many bytes more were answered.
    pub(super) fn advance(&mut self, bytes: usize, accepted: u64, refused: u64) {
        self.accepted += accepted;
        self.refused += refused;
        let mut counts = format!("{} accepted", HumanCount(self.accepted));
        if self.refused > 0 {
            counts += &format!(", {} refused", HumanCount(self.refused));
        }
        self.bar.set_message(counts);
        self.bar.inc(bytes as u64);
    }

    /// Prints while nothing is drawn, which may be on the same terminal.
    pub(super) fn pause<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Leaves it as it stands; how many were refused.
    pub(super) fn end(self) -> u64 {
        self.bar.abandon();
        self.refused
    }
}
