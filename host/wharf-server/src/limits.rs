//! Limits of the server, each with its reason.

use std::time::Duration;

use wharf_core::limits;

/// Messages in one batch: one commit must stay a small part of a second.
pub(crate) const BATCH_MESSAGES_MAX: usize = 10_000;

/// Size of a batch: it is held in memory while it is read.
pub(crate) const BATCH_BYTES_MAX: usize = 64 << 20;

/// Number of the last line of a batch, where the sender numbers its pieces: what JSON numbers tell apart everywhere.
pub(crate) const BATCH_LINE_MAX: u64 = 1 << 53;

/// Length of an idempotency key. Known servers take 255; the published vectors of the header's syntax have 262.
pub(crate) const IDEMPOTENCY_KEY_BYTES_MAX: usize = 512;

/// How much of a body that is too large is read and thrown away, so that its sender can read why: as much as the
/// largest body that is read anywhere.
pub(crate) const DISCARD_BYTES_MAX: usize = BATCH_BYTES_MAX;

/// A body up to this size is sent whole whether it is read or not: it fits the sockets' buffers on every system.
pub(crate) const SMALL_BODY_BYTES: u64 = 16 << 10;

/// Body of an operator's request: a few names and a sentence.
pub(crate) const OPERATOR_BODY_BYTES_MAX: usize = 16 << 10;

/// Why a channel is paused: one sentence. With the rest of the pause it fits a named value of the store, escapes and
/// all.
pub(crate) const PAUSE_REASON_BYTES_MAX: usize = 500;

/// How much larger than its payload a JSON form can be: an escape such as `\\u0001` is six bytes for one. What was
/// decoded is checked against the payload's limit.
pub(crate) const JSON_OVERHEAD_FACTOR: usize = 6;

/// JSON around a payload, beside what grows with it: all attributes and headers at their limits.
pub(crate) const JSON_OVERHEAD_BYTES: usize = JSON_OVERHEAD_FACTOR
    * (limits::ATTRIBUTES_COUNT_MAX + limits::HEADERS_COUNT_MAX)
    * (limits::NAME_BYTES_MAX + limits::VALUE_BYTES_MAX);

/// MessagePack around a payload: all headers and the endpoint at their limits, and as much again for what is passed over.
pub(crate) const ENVELOPE_OVERHEAD_BYTES: usize =
    2 * (limits::HEADERS_COUNT_MAX + 1) * (limits::NAME_BYTES_MAX + limits::VALUE_BYTES_MAX);

/// How long the head of a request may take: a stop waits for one that has begun.
pub(crate) const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the body of a request may take: 64 MiB at 1 MiB/s.
pub(crate) const BODY_READ_TIMEOUT: Duration = Duration::from_secs(64);

/// Wait after an error of accepting a connection, such as no more file descriptors.
pub(crate) const ACCEPT_ERROR_WAIT: Duration = Duration::from_millis(50);

/// A commit that takes longer is no slow disk but one that hangs: `/livez` fails. Commits take milliseconds, on a disk
/// that is overwhelmed seconds.
pub(crate) const COMMIT_HANGS_AFTER: Duration = Duration::from_secs(30);

/// Wait after what is ready could not be read.
pub(crate) const CLAIM_ERROR_WAIT: Duration = Duration::from_secs(1);

/// Attributes and notes that a post-event hook is handed at once, in bytes: a small part of an instance's memory.
pub(crate) const EVENTS_BYTES_MAX: usize = 4 << 20;

/// Failures of a post-event hook in a row after which health says so.
pub(crate) const POST_EVENT_FAILURES_DEGRADED: u32 = 3;

/// Exchanges that a request-channel may ask for in one attempt: token, post, and one more of each.
pub(crate) const EXCHANGES_PER_ATTEMPT_MAX: usize = 4;

/// How much of an answer a channel is shown. Webhook receivers answer with a few bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Idle connections kept to one destination.
pub(crate) const IDLE_CONNECTIONS_PER_LANE_MAX: usize = 256;

/// How long an idle connection is kept. Servers commonly close after 60 to 75 s; leaving first avoids the race.
pub(crate) const IDLE_CONNECTION_AGE_MAX: Duration = Duration::from_secs(50);

/// Time to resolve a name and connect, within the attempt's deadline.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Deliveries that a dispatcher claims at once.
pub(crate) const CLAIM_BATCH_MAX: usize = 64;

/// Deliveries of one channel that are claimed and not settled, for each attempt that may run at the same time. They may
/// have been sent, so this is what a crash can repeat. One more than runs, so that a commit's wait costs no attempt.
pub(crate) const UNSETTLED_PER_PARALLEL: usize = 2;

/// Rows of the journal that one request searches.
pub(crate) const JOURNAL_ROWS_SEARCHED_MAX: usize = 64 << 10;

/// How often it is looked how much of the disk is free.
pub(crate) const DISK_LOOK_EVERY: Duration = Duration::from_millis(500);

/// Events that a post-event hook is handed at once.
pub(crate) const EVENTS_PER_BATCH_MAX: usize = 256;

/// Waits after a post-event hook failed: from the first to the longest.
pub(crate) const POST_EVENT_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(30));

/// Failures on one event alone, in a row, after which it is asked whether that is the event's fault: by those after it.
pub(crate) const POST_EVENT_ALONE_MAX: u32 = 5;

/// Events after one that a post-event hook does not take that it is asked to take instead, each alone, before it is left
/// alone for a while.
pub(crate) const POST_EVENT_SUSPECTS_MAX: usize = 16;

/// How long a post-event hook's reader lets events gather after it was woken: fewer, larger calls.
pub(crate) const POST_EVENT_GATHER: Duration = Duration::from_millis(5);

/// How often a post-event hook's cursor is put on disk while it moves. Each time costs a share of a commit; what was told
/// since comes again after a crash.
pub(crate) const POST_EVENT_SAVE_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked for what has been kept for long enough. A retention is hours or days.
pub(crate) const PRUNE_EVERY: Duration = Duration::from_secs(2);

/// How long removing pauses while there is more: a call takes some milliseconds of a commit, which are to be a small share
/// of all time, and still a hundred thousand small messages a second go.
pub(crate) const PRUNE_PAUSE: Duration = Duration::from_millis(25);

/// How long a plugin file must stand still before it counts: longer than `cp`, a linker or an editor pauses between two
/// writes, shorter than a person waits.
pub(crate) const PLUGIN_STILL: Duration = Duration::from_millis(300);

/// How long a plugin file that is cut off must stand still before it counts as that: a copy over a slow network pauses.
pub(crate) const PLUGIN_CUT_OFF_STILL: Duration = Duration::from_secs(3);

/// How long notices of the plugin folder gather before it is looked at: writing a large file gives hundreds.
pub(crate) const PLUGIN_FOLDER_GATHER: Duration = Duration::from_millis(20);

/// How often the plugin folder is looked at without a notice, as on network file systems, where each look is a few
/// calls over the network.
pub(crate) const PLUGIN_FOLDER_POLL: Duration = Duration::from_secs(5);

/// How much of a copy of the store is read and sent at once: few enough system calls, and little memory.
pub(crate) const COPY_PIECE_BYTES: usize = 256 << 10;

/// Characters that an explanation shows of a value: what a line of a terminal holds.
pub(crate) const EXPLAINED_VALUE_CHARS_MAX: usize = 80;

/// Definite failures after which a failover goes on, at most: a channel that failed so often has been tried for weeks.
pub(crate) const FAILOVER_AFTER_MAX: u32 = 1000;

/// Body of a request that puts routes: some thousands of them.
pub(crate) const ROUTES_BODY_BYTES_MAX: usize = 1 << 20;

/// Lanes that a channel remembers: endpoints can come with messages. Each takes some hundred bytes, and its deferred ones.
pub(crate) const LANES_COUNT_MAX: usize = 4096;

/// Lanes that are shown of a channel; those first that are held up.
pub(crate) const LANES_SHOWN_MAX: usize = 100;

/// Deferred deliveries that are remembered of a lane, to come before their time once it takes something: 4 KB.
pub(crate) const DEFERRED_REMEMBERED_MAX: usize = 256;

/// How far apart deferred deliveries of a lane come again: each time that they come in vain costs a read and a write, and
/// a thousand a second are a few per cent of what the store does.
pub(crate) const DEFER_SPACING: Duration = Duration::from_millis(1);

/// How long after their lane may take something again deferred deliveries come at the latest. With more than 300,000 of
/// them more than one comes in a millisecond.
pub(crate) const DEFER_SPAN: Duration = Duration::from_secs(300);

/// How long what waits for a paused lane is left alone. Once it is resumed, those that are remembered come at once.
pub(crate) const LANE_PAUSED_WAIT: Duration = Duration::from_secs(60);

/// How long what finds a lane's line full is left alone: a lane that is as slow as that will be slow in a second.
pub(crate) const LANE_FULL_WAIT: Duration = Duration::from_secs(1);

/// How long a delivery waits in memory for a rate; longer it waits in the store.
pub(crate) const RATE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Deliveries deferred in a row after which a dispatcher goes slowly: it has met nothing else for a whole batch.
pub(crate) const DEFERRED_IN_A_ROW: u32 = CLAIM_BATCH_MAX as u32;

/// How long the first one in line waits until a dispatcher looks past it. Where receivers answer within that, nothing is
/// ever put aside for being one of many.
pub(crate) const LOOK_FURTHER_AFTER: Duration = Duration::from_secs(1);

/// How often a dispatcher looks past what its lanes do not take, and for how many: 160 writes a second, if all is in vain.
pub(crate) const LOOK_FURTHER_EVERY: Duration = Duration::from_millis(100);
/// See [`LOOK_FURTHER_EVERY`].
pub(crate) const LOOK_FURTHER_COUNT: usize = 16;

/// The same where it knows of a lane that would take something. Then it looks for as many as there are places.
pub(crate) const LOOK_FURTHER_QUICKLY_EVERY: Duration = Duration::from_millis(5);

/// How long a lane is known for that is not used: something for it may be behind what the others do not take.
pub(crate) const LANE_KNOWN_FOR: Duration = Duration::from_secs(60);

/// How long a report waits for its delivery, where nothing else is configured: a callback is faster than our own commit by
/// seconds at most, and a host that was killed is back by then.
pub(crate) const RECEIPT_GRACE_DEFAULT: Duration = Duration::from_secs(600);

/// Body of a report: one in our form has all its texts at their limits, escapes and all.
pub(crate) const RECEIPT_BYTES_MAX: usize = 256 << 10;

/// Updates in one report: they are one commit.
pub(crate) const RECEIPT_UPDATES_MAX: usize = 1000;

/// Length of the word that says why something was refused.
pub(crate) const UPDATE_CODE_BYTES_MAX: usize = 64;

/// Updates that are applied in one commit, which others wait for: some milliseconds.
pub(crate) const UPDATES_A_ROUND_MAX: usize = 256;
