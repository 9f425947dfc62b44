//! Why a route matches a message or not, condition by condition.
//!
//! The verdicts are those of [`Table::plan`]; what is added is what was found. For people who ask: accepting a message
//! pays nothing for it.

use serde_json::Value;

use super::condition::Payload;
use super::{Condition, Operand, Planned, Route, Table, Verdict};
use crate::message::Message;

/// A route, and what it says of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained<'a> {
    /// The route.
    pub route: &'a Route,
    /// Whether it applies.
    pub verdict: Verdict,
    /// Its conditions, also of a route that was left out.
    pub checks: Vec<Check<'a>>,
}

/// A condition, and what it found.
#[derive(Clone, Debug, PartialEq)]
pub struct Check<'a> {
    /// What it looks at.
    pub operand: &'a Operand,
    /// What it asks.
    pub condition: &'a Condition,
    /// What is there.
    pub found: Found,
    /// Whether it holds.
    pub holds: bool,
}

/// What a condition found in its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// The payload is no JSON, so that no pointer finds anything.
    NoJson,
    /// This: an attribute as a text.
    Value(Value),
}

impl Table {
    /// The plan of a message, and why it is that.
    #[must_use]
    pub fn explain(&self, message: &Message) -> (Vec<Planned>, Vec<Explained<'_>>) {
        let mut payload = Payload::Unread;
        let judged: Vec<_> = self
            .judge(message, &mut payload)
            .map(|(_, verdict)| verdict)
            .collect();
        let explained = self
            .routes
            .iter()
            .zip(judged)
            .map(|(route, verdict)| Explained {
                route,
                verdict,
                checks: route.checks(message, &mut payload),
            });
        (self.plan(message), explained.collect())
    }
}

impl Route {
    fn checks(&self, message: &Message, payload: &mut Payload) -> Vec<Check<'_>> {
        let conditions = self.conditions.iter();
        let checks = conditions.map(|(operand, condition)| Check {
            operand,
            condition,
            found: find(operand, message, payload),
            holds: condition.holds(operand, message, payload),
        });
        checks.collect()
    }
}

fn find(operand: &Operand, message: &Message, payload: &mut Payload) -> Found {
    let found = match operand {
        Operand::Attribute(key) => message.attribute(key).map(Value::from),
        Operand::Pointer(pointer) => match payload.json(message) {
            None => return Found::NoJson,
            Some(json) => json.pointer(pointer).cloned(),
        },
    };
    found.map_or(Found::Nothing, Found::Value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChannelName;
    use crate::route::Mode;
    use crate::route::tests::message;

    #[test]
    fn every_condition_says_what_it_found() {
        let pointer = |place: &str| Operand::Pointer(place.to_owned());
        let attribute = Operand::Attribute("to".to_owned());
        let table = Table {
            routes: vec![Route {
                name: "r".into(),
                conditions: vec![
                    (attribute, Condition::Equals("SG".to_owned())),
                    (pointer("/n"), Condition::Json(1.into())),
                    (pointer("/m"), Condition::Exists(true)),
                ],
                channels: vec![ChannelName::new("c")],
                mode: Mode::FanOut,
                stop: false,
                is_catch_all: false,
            }],
        };
        let check = |payload, holds, founds: [Found; 3]| {
            let message = message(&[("to", "DE")], payload);
            let (planned, explained) = table.explain(&message);
            assert!(planned.is_empty());
            let checks = &explained[0].checks;
            assert_eq!(checks.iter().map(|c| c.holds).collect::<Vec<_>>(), holds);
            for (check, found) in checks.iter().zip(founds) {
                assert_eq!(check.found, found, "{payload}");
            }
        };
        let germany = || Found::Value("DE".into());
        check(
            r#"{"n":1.0}"#,
            [false, true, false],
            [germany(), Found::Value(1.0.into()), Found::Nothing],
        );
        check(
            "{",
            [false, false, false],
            [germany(), Found::NoJson, Found::NoJson],
        );
    }
}
