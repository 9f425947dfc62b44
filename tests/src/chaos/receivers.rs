//! Who gets the messages, how each receiver behaves, and what it has seen.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use wharf_core::Status;
use wharf_testkit::random::Random;
use wharf_testkit::sink::{Answer, Received, Sink};

use super::ledger::Ledger;

/// A channel of the host, which posts to a path of the sink.
pub(super) struct Receiver {
    pub(super) name: &'static str,
    pub(super) parallelism: usize,
    /// How its deliveries end when nobody interferes.
    pub(super) ends: Status,
    /// Further keys of the channel, a line each.
    more: &'static str,
}

/// Waits of a few attempts' time, and never the last one: a receiver that comes back gets everything.
const PATIENT: &str = "retry = { base = \"20ms\", max = \"500ms\", attempts = 100000 }";

pub(super) const STEADY: &str = "steady";
pub(super) const SLOW: &str = "slow";
pub(super) const FLAKY: &str = "flaky";
pub(super) const ABSENT: &str = "absent";
pub(super) const REFUSING: &str = "refusing";
pub(super) const HOPELESS: &str = "hopeless";

pub(super) const RECEIVERS: &[Receiver] = &[
    Receiver {
        name: STEADY,
        parallelism: 16,
        ends: Status::Delivered,
        more: PATIENT,
    },
    Receiver {
        name: SLOW,
        parallelism: 8,
        ends: Status::Delivered,
        more: PATIENT,
    },
    Receiver {
        name: FLAKY,
        parallelism: 8,
        ends: Status::Delivered,
        more: PATIENT,
    },
    Receiver {
        name: ABSENT,
        parallelism: 8,
        ends: Status::Delivered,
        more: PATIENT,
    },
    Receiver {
        name: REFUSING,
        parallelism: 4,
        ends: Status::Rejected,
        more: "config.reject-on = [422]",
    },
    Receiver {
        name: HOPELESS,
        parallelism: 4,
        ends: Status::Dead,
        // With a breaker only its probes would spend the budget, and it would take minutes to be dead.
        more: "retry = { base = \"20ms\", attempts = 2 }\nbreaker = { failures = 0 }",
    },
];

/// The route of messages that go to several of them.
const MANY: (&str, &[&str]) = ("many", &[STEADY, SLOW, FLAKY, HOPELESS]);

/// What no route takes.
const NOBODY: &str = "nobody";

/// How long [`SLOW`] takes to answer: long enough that something is out at every kill, and short enough that what is
/// tried alone after two of them does not take minutes.
const SLOW_ANSWER: Duration = Duration::from_millis(20);

/// Answers that are scripted for [`FLAKY`] at once; when they are used up it is steady.
const FLAKY_ANSWERS_COUNT: usize = 400;

/// Chance decides whom a message is for; whoever is named twice gets twice as many.
pub(super) fn pick(random: &mut Random) -> &'static str {
    const ADDRESSEES: &[&str] = &[
        STEADY, STEADY, STEADY, SLOW, SLOW, FLAKY, FLAKY, ABSENT, REFUSING, HOPELESS, MANY.0,
        NOBODY,
    ];
    random.pick::<&str>(ADDRESSEES)
}

/// The channels that get what is sent to this.
pub(super) fn receivers_of(to: &str) -> impl Iterator<Item = &'static Receiver> {
    RECEIVERS
        .iter()
        .filter(move |one| one.name == to || (to == MANY.0 && MANY.1.contains(&one.name)))
}

/// The host's configuration: a channel and a route for each.
pub(super) fn config(sink: &Sink) -> String {
    let mut config = "[api]\nlisten = \"127.0.0.1:0\"\n\
                      [egress]\nallow-addresses = [\"127.0.0.0/8\"]\n\
                      [hooks]\npost-event = [\"audit\"]\n"
        .to_owned();
    for Receiver {
        name,
        parallelism,
        more,
        ..
    } in RECEIVERS
    {
        let url = sink.url(&path(name));
        let _ = write!(
            config,
            "[[channel]]\nname = \"{name}\"\nplugin = \"http\"\nparallelism = {parallelism}\n\
             config.url = \"{url}\"\n{more}\n\
             [[route]]\nmatch = {{ to = \"{name}\" }}\nchannels = [\"{name}\"]\n"
        );
    }
    let (name, channels) = MANY;
    let _ = write!(
        config,
        "[[route]]\nmatch = {{ to = \"{name}\" }}\nchannels = {channels:?}\n"
    );
    config
}

fn path(name: &str) -> String {
    format!("/{name}")
}

/// What never changes.
pub(super) fn behave(sink: &Sink) {
    sink.script(&path(SLOW), [Answer::status(200).after(SLOW_ANSWER)]);
    sink.script(&path(REFUSING), [Answer::status(422)]);
    sink.script(&path(HOPELESS), [Answer::status(503)]);
}

/// Chance decides how the others behave for a while. Whoever is away stays away for some lives, so that something waits.
pub(super) fn misbehave(sink: &Sink, random: &mut Random) {
    if random.once_in(2) {
        let absent = match random.once_in(2) {
            true => Answer::close(),
            false => Answer::status(200),
        };
        sink.script(&path(ABSENT), [absent]);
    }
    let flaky = std::iter::repeat_with(|| match random.below(8) {
        0 => Answer::status(503),
        1 => Answer::status(500),
        2 => Answer::status(429).retry_after(0),
        3 => Answer::close(),
        _ => Answer::status(200),
    });
    let flaky: Vec<_> = flaky.take(FLAKY_ANSWERS_COUNT).collect();
    sink.script(&path(FLAKY), flaky.into_iter().chain([Answer::status(200)]));
}

/// From now on whoever can be delivered to takes everything.
pub(super) fn recover(sink: &Sink) {
    for name in [ABSENT, FLAKY] {
        sink.script(&path(name), [Answer::status(200)]);
    }
}

/// What was seen of one delivery.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) count: u32,
    /// How often it was answered that it has arrived. More than once: it is a duplicate.
    pub(super) taken_count: u32,
}

/// What the receivers have seen, by idempotency key.
#[derive(Default)]
pub(super) struct Receipts {
    seen: HashMap<(String, &'static str), Seen>,
}

impl Receipts {
    /// Takes what came since the last time. Says what came and was not sent like that.
    pub(super) fn take(&mut self, sink: &Sink, ledger: &Ledger) -> Vec<String> {
        let wrong = sink.take_requests().into_iter();
        wrong
            .filter_map(|request| self.note(&request, ledger).err())
            .collect()
    }

    fn note(&mut self, request: &Received, ledger: &Ledger) -> Result<(), String> {
        let id = request.header("webhook-id").unwrap_or_default();
        let name = request.path.trim_start_matches('/');
        let entry = ledger
            .get(id)
            .ok_or_else(|| format!("{name} got {id:?}, which nobody sent"))?;
        let receiver = receivers_of(entry.message.to).find(|one| one.name == name);
        let receiver = receiver.ok_or_else(|| {
            let to = entry.message.to;
            format!("{name} got {id}, which was for {to}")
        })?;
        if request.body != entry.message.payload() {
            let (got, sent) = (request.body.len(), entry.message.payload_bytes);
            return Err(format!(
                "{name} got {id} with another body: {got} bytes instead of {sent}, or other ones"
            ));
        }
        let seen = self.seen.entry((id.to_owned(), receiver.name)).or_default();
        seen.count += 1;
        seen.taken_count += u32::from(request.answered.is_some_and(|status| status.is_success()));
        Ok(())
    }

    pub(super) fn of(&self, id: &str, receiver: &Receiver) -> Seen {
        let seen = self.seen.get(&(id.to_owned(), receiver.name));
        seen.copied().unwrap_or_default()
    }

    /// Loses one record of ten, for those who want to see that it is missed.
    pub(super) fn forget_some(&mut self, random: &mut Random) {
        self.seen.retain(|_, _| !random.once_in(10));
    }

    /// How often something arrived that had arrived before.
    pub(super) fn duplicates_count(&self) -> u64 {
        let again = self.seen.values();
        again
            .map(|seen| u64::from(seen.taken_count.saturating_sub(1)))
            .sum()
    }
}

/// Most that a kill can make arrive again: what was being sent, and as much that was sent and not recorded yet.
pub(super) fn duplicates_per_kill_max() -> u64 {
    let parallelism: usize = RECEIVERS.iter().map(|one| one.parallelism).sum();
    2 * parallelism as u64
}
