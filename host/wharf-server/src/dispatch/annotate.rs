//! After the channel: what its annotators note of an attempt.

use std::time::Instant;

use wharf_core::{Outcome, Pairs, journal};
use wharf_plugin::{Call, Wire};

use super::channel::Channel;
use super::convert;

/// Shows the annotators what was sent and how that ended, and gives what they note. Whatever they do, the outcome
/// stays what it is.
pub(super) async fn annotate(
    channel: &Channel,
    call: &Call,
    sent: &Wire,
    outcome: &Outcome,
    attempt: &mut journal::Attempt,
) -> Pairs {
    let ended = convert::ended(outcome);
    let mut notes = Pairs::new();
    for annotator in &channel.annotators {
        let began = Instant::now();
        let annotated = annotator.hook.annotate(call, sent, &ended).await;
        attempt.hooks.push(annotator.ran(began.elapsed()));
        match annotated {
            Ok(Ok(pairs)) => notes.extend(pairs),
            Ok(Err(reason)) => notes.push((format!("{} failed", annotator.place()), reason)),
            Err(fault) => {
                notes.push((format!("{} fault", annotator.place()), fault.to_string()));
                convert::tell_fault(annotator.plugin(), call, &fault);
            }
        }
    }
    notes
}
