//! Limits on a message, each with its reason. They bound what one message can cost everywhere else.

use std::time::Duration;

/// Payload size that is refused unless the configuration raises it: what brokers and webhook receivers
/// commonly take.
pub const PAYLOAD_BYTES_DEFAULT: usize = 1 << 20;

/// Payload size that no configuration can pass: a message is held in memory whole, several times over.
pub const PAYLOAD_BYTES_HARD: usize = 16 << 20;

/// Attributes of a message. Each one costs about 0.2 µs in every hook that is passed it.
pub const ATTRIBUTES_COUNT_MAX: usize = 64;

/// Headers of a message, for the same reason.
pub const HEADERS_COUNT_MAX: usize = 64;

/// Length of an attribute's or header's name.
pub const NAME_BYTES_MAX: usize = 256;

/// Length of an attribute's or header's value: what HTTP servers commonly take in one field.
pub const VALUE_BYTES_MAX: usize = 8 << 10;

/// Length of an ordering key: it is kept in memory while its messages wait.
pub const ORDERING_KEY_BYTES_MAX: usize = 256;

/// Deliveries of one message. A delivery's number keeps 16 bits for its place within the message.
pub const DELIVERIES_COUNT_MAX: usize = 1 << 12;

/// Notes kept of one attempt, in pairs and in bytes: the journal is read by people.
pub const NOTES_COUNT_MAX: usize = 32;
/// See [`NOTES_COUNT_MAX`].
pub const NOTES_BYTES_MAX: usize = 4 << 10;

/// Length of the reason in a journal row.
pub const REASON_BYTES_MAX: usize = 1 << 10;

/// Length of the token that a later poll is made with. It is in the delivery's row, which every start reads.
/// More than any receiver's name for a job takes; a signed URL fits.
pub const TOKEN_BYTES_MAX: usize = 4 << 10;

/// Length of the receiver's own name for what it was sent. It stays in the journal, which is read by
/// people.
pub const REFERENCE_BYTES_MAX: usize = 1 << 10;

/// First wait of a status update that cannot be applied yet: a callback overtakes our own commit by less than that.
pub const UPDATE_WAIT_MIN: Duration = Duration::from_secs(1);

/// Its longest wait: what was only late is applied a minute after it can be, and a message that is unknown costs a look-up
/// a minute.
pub const UPDATE_WAIT_MAX: Duration = Duration::from_secs(60);
