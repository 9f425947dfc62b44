//! Which channels are paused.

use std::fmt;
use std::sync::Arc;

use super::{Numbers, Page};
use crate::pauses::Pauses;

pub(crate) struct PauseNumbers(pub(crate) Arc<Pauses>);

impl Numbers for PauseNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let all = self.0.all();
        page.gauge(
            "channel_paused",
            "Whether an operator has paused the channel: 1 or 0.",
            None,
            all.iter().map(|(name, pause)| {
                let labels = vec![("channel", name.as_str())];
                (labels, f64::from(u8::from(pause.is_some())))
            }),
        )
    }
}
