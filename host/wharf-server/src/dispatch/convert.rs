//! Between the contract's types and the core's. What a plugin gives is within wharf-plugin's bounds already; texts for
//! the journal are cut here.

use std::time::Duration;

use wharf_core::outcome::{Effect, Failure, Outcome, Refusal, Refuser, Scope, Waiting};
use wharf_core::{Pairs, limits};
use wharf_plugin::{self as plugin, Call, PluginFault};

/// A channel's outcome.
pub(super) fn outcome(outcome: plugin::Outcome) -> Outcome {
    match outcome {
        plugin::Outcome::Delivered(receipt) => Outcome::Delivered {
            reference: reference(receipt.reference),
            notes: notes(receipt.notes),
        },
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
pub(super) fn plugin_fault(plugin: &str, call: &Call, fault: &PluginFault) -> Outcome {
    tell_fault(plugin, call, fault);
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

/// The log line of a fault. Its detail can hold what the guest printed, so it goes here and not to the journal.
pub(super) fn tell_fault(plugin: &str, call: &Call, fault: &PluginFault) {
    tracing::warn!(
        message_id = call.message_id,
        delivery = call.delivery,
        channel = call.channel,
        plugin,
        fault = fault.kind().as_str(),
        error = fault as &dyn std::error::Error,
        detail = fault.detail(),
        "a plugin faulted"
    );
}

/// How an attempt ended, as an annotator is told it.
pub(super) fn ended(outcome: &Outcome) -> plugin::Outcome {
    match outcome {
        Outcome::Delivered { reference, notes } => plugin::Outcome::Delivered(plugin::Receipt {
            reference: reference.clone(),
            notes: notes.clone(),
        }),
        Outcome::Provisional { reference, waiting } => {
            let receipt = plugin::Receipt {
                reference: reference.clone(),
                notes: Vec::new(),
            };
            plugin::Outcome::Provisional((receipt, still_waiting(waiting)))
        }
        Outcome::Pending(waiting) => plugin::Outcome::Pending(still_waiting(waiting)),
        Outcome::Retry(failure) => plugin::Outcome::Retry(plugin::Failure {
            code: failure.code.clone(),
            reason: failure.reason.clone(),
            effect: match failure.effect {
                Effect::None => plugin::Effect::None,
                Effect::Unknown => plugin::Effect::Unknown,
            },
            scope: match failure.scope {
                Scope::Message => plugin::Scope::Message,
                Scope::Destination => plugin::Scope::Destination,
                Scope::Channel => plugin::Scope::Channel,
            },
            pause: failure.pause,
            after_ms: failure.after.map(milliseconds),
            notes: failure.notes.clone(),
        }),
        Outcome::Rejected(refusal) => plugin::Outcome::Rejected(plugin::Refusal {
            code: refusal.code.clone(),
            reason: refusal.reason.clone(),
            notes: refusal.notes.clone(),
        }),
    }
}

fn still_waiting(waiting: &Waiting) -> plugin::Waiting {
    plugin::Waiting {
        token: waiting.token.clone(),
        poll_after_ms: waiting.poll_after.map(milliseconds),
        notes: waiting.notes.clone(),
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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
pub(crate) fn cut(mut text: String, most: usize) -> String {
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
