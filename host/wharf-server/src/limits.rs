//! Limits of the server, each with its reason.

use std::time::Duration;

/// Messages in one batch: one commit must stay a small part of a second.
pub(crate) const BATCH_MESSAGES_MAX: usize = 10_000;

/// Size of a batch: it is held in memory while it is read.
pub(crate) const BATCH_BYTES_MAX: usize = 64 << 20;

/// How much of a body that is too large is read and thrown away, so that its sender can read why: as much as the
/// largest body that is read anywhere.
pub(crate) const DISCARD_BYTES_MAX: usize = BATCH_BYTES_MAX;

/// JSON around a payload: base64 makes a third more of it, escapes can double it.
pub(crate) const JSON_OVERHEAD_FACTOR: usize = 2;

/// JSON around a payload, beside what grows with it: attributes, headers, punctuation.
pub(crate) const JSON_OVERHEAD_BYTES: usize = 64 << 10;

/// Exchanges that a request-channel may ask for in one attempt: token, post, and one more of each.
pub(crate) const EXCHANGES_PER_ATTEMPT_MAX: usize = 4;

/// How much of an answer a channel is shown. Webhook receivers answer with a few bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// State that a request-channel may carry over an exchange.
pub(crate) const CHANNEL_STATE_BYTES_MAX: usize = 64 << 10;

/// Idle connections kept to one destination.
pub(crate) const IDLE_CONNECTIONS_PER_LANE_MAX: usize = 256;

/// How long an idle connection is kept. Servers commonly close after 60 to 75 s; leaving first avoids the race.
pub(crate) const IDLE_CONNECTION_AGE_MAX: Duration = Duration::from_secs(50);

/// Time to resolve a name and connect, within the attempt's deadline.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Deliveries that a dispatcher claims at once.
pub(crate) const CLAIM_BATCH_MAX: usize = 64;

/// Events that a post-event hook is handed at once.
pub(crate) const EVENTS_PER_BATCH_MAX: usize = 256;

/// Waits after a post-event hook failed: from the first to the longest.
pub(crate) const POST_EVENT_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(30));
