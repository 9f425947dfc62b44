//! Routing: which channels a message goes to, and why.
//!
//! A decision on the message's content alone: the same message gets the same plan from the same table, at accept, when
//! it is routed again, and where it is only asked for ([`Table::explain`]).

mod condition;
mod explain;
mod plan;

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::id::ChannelName;
use crate::message::Message;

use condition::Payload;
pub use condition::{Condition, Operand};
pub use explain::{Check, Explained, Found};
use plan::Plan;

/// One route: all conditions must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name: given, or `route-N` by its place.
    pub name: Arc<str>,
    /// What must hold. None of them: it matches everything.
    pub conditions: Vec<(Operand, Condition)>,
    /// Where the message goes.
    pub channels: Vec<ChannelName>,
    /// To which of them.
    pub mode: Mode,
    /// Whether later routes are left out once this one matched.
    pub stop: bool,
    /// Whether it is only for what no route before it matched.
    pub is_catch_all: bool,
}

/// Which of a route's channels a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To all of them.
    FanOut,
    /// To the first; to the next one where that is given up after so many definite failures.
    Failover(NonZeroU32),
}

/// The routes, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// All of them; every match applies, unless `stop`.
    pub routes: Vec<Route>,
}

/// One delivery to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The route that asked for it.
    pub route: Arc<str>,
    /// Its channel.
    pub channel: ChannelName,
    /// Set where it is in reserve: it is made once the one planned before it was given up, after so many definite
    /// failures. None: at once.
    pub after: Option<NonZeroU32>,
}

/// What one route says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It applies.
    Matches,
    /// One of its conditions does not hold.
    Differs,
    /// A route before it matched, and it is only for what none did.
    Unneeded,
    /// A route before it matched, and left the later ones out.
    LeftOut,
}

impl Table {
    /// The deliveries that a message gets, and those in reserve, each behind the one that it stands in for. Empty where no
    /// route matches.
    ///
    /// A channel gets one delivery at once, by the first route that names it. A later failover that begins with it adds its
    /// reserve to that delivery. What is in reserve is not reckoned with: of two routes that share a last resort, each has
    /// it.
    #[must_use]
    pub fn plan(&self, message: &Message) -> Vec<Planned> {
        let mut plan = Plan::default();
        for (route, verdict) in self.judge(message, &mut Payload::Unread) {
            if verdict == Verdict::Matches {
                plan.add(route);
            }
        }
        plan.finish()
    }

    /// Each route with its verdict, in order.
    fn judge<'a>(
        &'a self,
        message: &'a Message,
        payload: &'a mut Payload,
    ) -> impl Iterator<Item = (&'a Route, Verdict)> {
        let (mut has_match, mut has_stopped) = (false, false);
        self.routes.iter().map(move |route| {
            let verdict = if has_stopped {
                Verdict::LeftOut
            } else if route.is_catch_all && has_match {
                Verdict::Unneeded
            } else if route.matches(message, payload) {
                Verdict::Matches
            } else {
                Verdict::Differs
            };
            if verdict == Verdict::Matches {
                has_match = true;
                has_stopped = route.stop;
            }
            (route, verdict)
        })
    }
}

impl Planned {
    /// A delivery that is made at once.
    #[must_use]
    pub fn at_once(route: Arc<str>, channel: ChannelName) -> Self {
        Self {
            route,
            channel,
            after: None,
        }
    }
}

impl Route {
    fn matches(&self, message: &Message, payload: &mut Payload) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.all(|(operand, condition)| condition.holds(operand, message, payload))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::id::MessageId;
    use crate::message::Priority;
    use crate::time::TimeMs;

    pub(super) fn message(attributes: &[(&str, &str)], payload: &'static str) -> Message {
        let mut attributes: Vec<_> = attributes
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        attributes.sort();
        Message {
            id: MessageId::parse("m").unwrap(),
            accepted_at: TimeMs(1),
            attributes,
            headers: vec![],
            payload: Bytes::from_static(payload.as_bytes()),
            ordering_key: None,
            sequence_global: None,
            sequence_key: None,
            deliver_after: None,
            expires_at: None,
            priority: Priority::Normal,
            traceparent: None,
        }
    }

    #[test]
    fn all_matches_apply_until_stop_and_a_channel_gets_one_delivery() {
        let route = |name: &str, channels: &[&str], stop| Route {
            name: name.into(),
            conditions: vec![],
            channels: channels.iter().map(|c| ChannelName::new(c)).collect(),
            mode: Mode::FanOut,
            stop,
            is_catch_all: false,
        };
        let table = Table {
            routes: vec![
                route("one", &["a", "b"], false),
                route("two", &["b", "c"], true),
                route("three", &["d"], false),
            ],
        };
        let planned = table.plan(&message(&[], ""));
        let pairs: Vec<_> = planned
            .iter()
            .map(|p| (&*p.route, p.channel.as_str()))
            .collect();
        assert_eq!(pairs, [("one", "a"), ("one", "b"), ("two", "c")]);
    }

    /// Goal: a catch-all takes what no other route does, and nothing else; what is explained is what is planned.
    #[test]
    fn a_catch_all_takes_what_no_route_matched() {
        let route = |name: &str, kind: Option<&str>, is_catch_all| Route {
            name: name.into(),
            conditions: kind
                .map(|kind| {
                    let operand = Operand::Attribute("type".to_owned());
                    (operand, Condition::Equals(kind.to_owned()))
                })
                .into_iter()
                .collect(),
            channels: vec![ChannelName::new(name)],
            mode: Mode::FanOut,
            stop: name == "orders",
            is_catch_all,
        };
        let table = Table {
            routes: vec![
                route("orders", Some("order"), false),
                route("bills", Some("bill"), false),
                route("rest", None, true),
            ],
        };
        use Verdict::{Differs, LeftOut, Matches, Unneeded};
        for (kind, expected, verdicts) in [
            ("order", "orders", [Matches, LeftOut, LeftOut]),
            ("bill", "bills", [Differs, Matches, Unneeded]),
            ("other", "rest", [Differs, Differs, Matches]),
        ] {
            let message = message(&[("type", kind)], "");
            let planned = table.plan(&message);
            let routes: Vec<_> = planned.iter().map(|p| &*p.route).collect();
            assert_eq!(routes, [expected]);
            let (explained_plan, explained) = table.explain(&message);
            assert_eq!(explained_plan, planned);
            let found: Vec<_> = explained.iter().map(|one| one.verdict).collect();
            assert_eq!(found, verdicts, "{kind}");
        }
    }
}
