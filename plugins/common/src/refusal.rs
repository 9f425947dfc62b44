//! A final no, in the contract's words.

use std::fmt;

use crate::types::Refusal;

/// `code` is a short, stable word; `reason` one sentence for the person who reads the journal.
#[must_use]
pub fn new(code: &str, reason: impl fmt::Display) -> Refusal {
    Refusal {
        code: code.to_owned(),
        reason: reason.to_string(),
        notes: vec![],
    }
}
