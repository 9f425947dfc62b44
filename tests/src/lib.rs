//! What runs both as a command and as a scenario.

pub mod chaos;
