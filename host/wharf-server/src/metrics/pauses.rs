//! Which channels are paused.

use std::fmt;
use std::sync::Arc;

use super::{Numbers, Page};
use crate::pauses::Pauses;

pub(crate) struct PauseNumbers(pub(crate) Arc<Pauses>);

impl Numbers for PauseNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "channel_paused",
            "Whether an operator has paused the channel: 1 or 0.",
            None,
            self.0.all().map(|(name, pause)| {
                let labels = vec![("channel", name.as_str())];
                (labels, f64::from(u8::from(pause.is_some())))
            }),
        )
    }
}
