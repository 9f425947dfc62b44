//! Between the contract's types and the core's.

use std::time::Duration;

use wharf_core::outcome::{Effect, Failure, Outcome, Refusal, Refuser, Scope, Waiting};
use wharf_core::{Pairs, limits};
use wharf_plugin::{self as plugin, PluginFault};

/// A channel's outcome.
pub(super) fn outcome(outcome: plugin::Outcome) -> Outcome {
    match outcome {
        plugin::Outcome::Delivered(receipt) => Outcome::Delivered {
            reference: reference(receipt.reference),
            notes: notes(receipt.notes),
        },
        plugin::Outcome::Provisional((_, next)) | plugin::Outcome::Pending(next)
            if next.token.len() > limits::TOKEN_BYTES_MAX =>
        {
            token_too_long(next.token.len())
        }
        plugin::Outcome::Provisional((receipt, next)) => {
            let mut next = waiting(next);
            next.notes = notes(receipt.notes.into_iter().chain(next.notes).collect());
            Outcome::Provisional {
                reference: reference(receipt.reference),
                waiting: next,
            }
        }
        plugin::Outcome::Pending(next) => Outcome::Pending(waiting(next)),
        plugin::Outcome::Retry(failed) => Outcome::Retry(failure(failed)),
        plugin::Outcome::Rejected(refused) => Outcome::Rejected(refusal(Refuser::Channel, refused)),
    }
}

/// A cut token would be another token, so it is no answer at all; the receiver may have acted.
fn token_too_long(bytes: usize) -> Outcome {
    Outcome::Retry(Failure {
        code: "plugin-token-too-long".to_owned(),
        reason: format!(
            "its token has {bytes} bytes, the most is {}",
            limits::TOKEN_BYTES_MAX
        ),
        effect: Effect::Unknown,
        scope: Scope::Channel,
        pause: false,
        after: None,
        notes: Vec::new(),
        is_fault: true,
    })
}

fn reference(reference: Option<String>) -> Option<String> {
    reference.map(|text| cut(text, limits::REFERENCE_BYTES_MAX))
}

/// What a hook before the channel said instead of doing its part.
pub(super) fn fault(fault: plugin::Fault) -> Outcome {
    match fault {
        plugin::Fault::Retry(failed) => Outcome::Retry(failure(failed)),
        plugin::Fault::Rejected(refused) => Outcome::Rejected(refusal(Refuser::Converter, refused)),
    }
}

/// A plugin that trapped or broke a limit: retryable, and nobody knows what it did, unless it never ran.
pub(super) fn plugin_fault(plugin: &str, fault: &PluginFault) -> Outcome {
    if let Some(detail) = fault.detail() {
        // It can hold what the guest printed, so it goes to the log and not to the journal.
        tracing::warn!(plugin, fault = fault.kind(), detail, "a plugin faulted");
    }
    Outcome::Retry(Failure {
        code: format!("plugin-{}", fault.kind()),
        reason: cut(
            format!("plugin {plugin}: {fault}"),
            limits::REASON_BYTES_MAX,
        ),
        effect: if fault.guest_ran() {
            Effect::Unknown
        } else {
            Effect::None
        },
        scope: Scope::Message,
        pause: false,
        after: None,
        notes: vec![("plugin".to_owned(), plugin.to_owned())],
        is_fault: true,
    })
}

fn failure(failed: plugin::Failure) -> Failure {
    Failure {
        code: cut(failed.code, limits::NAME_BYTES_MAX),
        reason: cut(failed.reason, limits::REASON_BYTES_MAX),
        effect: match failed.effect {
            plugin::Effect::None => Effect::None,
            plugin::Effect::Unknown => Effect::Unknown,
        },
        scope: match failed.scope {
            plugin::Scope::Message => Scope::Message,
            plugin::Scope::Destination => Scope::Destination,
            plugin::Scope::Channel => Scope::Channel,
        },
        pause: failed.pause,
        after: failed.after_ms.map(Duration::from_millis),
        notes: notes(failed.notes),
        is_fault: false,
    }
}

fn refusal(by: Refuser, refused: plugin::Refusal) -> Refusal {
    Refusal {
        by,
        code: cut(refused.code, limits::NAME_BYTES_MAX),
        reason: cut(refused.reason, limits::REASON_BYTES_MAX),
        notes: notes(refused.notes),
    }
}

fn waiting(next: plugin::Waiting) -> Waiting {
    Waiting {
        token: next.token,
        poll_after: next.poll_after_ms.map(Duration::from_millis),
        notes: notes(next.notes),
    }
}

/// Notes within the journal's bounds.
pub(super) fn notes(mut notes: Pairs) -> Pairs {
    notes.truncate(limits::NOTES_COUNT_MAX);
    let mut room = limits::NOTES_BYTES_MAX;
    for (name, value) in &mut notes {
        for text in [name, value] {
            *text = cut(std::mem::take(text), room);
            room -= text.len();
        }
    }
    notes.retain(|(name, _)| !name.is_empty());
    notes
}

/// At most `most` bytes of a text, cut between characters.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_stay_within_their_bounds() {
        let many = vec![("k".to_owned(), "é".repeat(1000)); 100];
        let kept = notes(many);
        assert!(kept.len() <= limits::NOTES_COUNT_MAX);
        let bytes: usize = kept.iter().map(|(k, v)| k.len() + v.len()).sum();
        assert!(bytes <= limits::NOTES_BYTES_MAX && bytes > limits::NOTES_BYTES_MAX - 4);
    }
}
