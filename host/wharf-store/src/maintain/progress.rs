//! How far a long work is.

/// How far a long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps that are done.
    pub done: u64,
    /// Steps in all, as far as that is known before: the work may end a little before or behind it.
    pub total: u64,
}

/// Steps that are told to whoever watches.
pub(crate) struct Steps<'a> {
    told: &'a mut dyn FnMut(Progress),
    at: Progress,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(total: u64, told: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            told,
            at: Progress { done: 0, total },
        }
    }

    /// That so many more are done.
    pub(crate) fn advance(&mut self, count: u64) {
        self.at.done += count;
        (self.told)(self.at);
    }
}
