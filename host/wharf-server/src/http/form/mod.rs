//! The forms that a message comes in.

mod check;
pub(super) mod json;
