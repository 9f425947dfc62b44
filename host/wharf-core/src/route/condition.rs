//! What a route asks of a message.

use serde_json::Value;

use crate::message::Message;

/// A condition on one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Equal to this text.
    Equals(String),
    /// Equal to one of these.
    OneOf(Vec<String>),
    /// Begins with this text; written `order.*`.
    Prefix(String),
    /// There (true), or not there (false), whatever its value.
    Exists(bool),
    /// Equal to this JSON value; a number by its value, so that `1.0` is `1`. For payload pointers alone.
    Json(Value),
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// An attribute.
    Attribute(String),
    /// A place in the JSON payload, as an RFC 6901 pointer.
    Pointer(String),
}

/// The payload as JSON, parsed once and only when a pointer asks.
pub(super) enum Payload {
    Unread,
    Read(Option<Value>),
}

impl Payload {
    /// None where it is no JSON.
    pub(super) fn json(&mut self, message: &Message) -> Option<&Value> {
        if let Self::Unread = self {
            *self = Self::Read(serde_json::from_slice(&message.payload).ok());
        }
        match self {
            Self::Read(value) => value.as_ref(),
            Self::Unread => None,
        }
    }

    fn pointer(&mut self, message: &Message, pointer: &str) -> Option<&Value> {
        self.json(message)?.pointer(pointer)
    }
}

impl Condition {
    pub(super) fn holds(
        &self,
        operand: &Operand,
        message: &Message,
        payload: &mut Payload,
    ) -> bool {
        match operand {
            Operand::Attribute(key) => self.holds_text(message.attribute(key)),
            Operand::Pointer(pointer) => {
                let value = payload.pointer(message, pointer);
                match self {
                    Self::Json(expected) => value.is_some_and(|value| is_equal(value, expected)),
                    Self::Exists(wanted) => value.is_some() == *wanted,
                    Self::Equals(_) | Self::OneOf(_) | Self::Prefix(_) => {
                        self.holds_text(value.and_then(Value::as_str))
                    }
                }
            }
        }
    }

    fn holds_text(&self, text: Option<&str>) -> bool {
        match self {
            Self::Equals(expected) => text == Some(expected),
            Self::OneOf(all) => text.is_some_and(|t| all.iter().any(|one| one == t)),
            Self::Prefix(prefix) => text.is_some_and(|t| t.starts_with(prefix.as_str())),
            Self::Exists(wanted) => text.is_some() == *wanted,
            Self::Json(_) => false,
        }
    }
}

fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => a == b,
            (Some(whole), None) => b.as_f64().is_some_and(|float| is_whole(float, whole)),
            (None, Some(whole)) => a.as_f64().is_some_and(|float| is_whole(float, whole)),
            (None, None) => a.as_f64() == b.as_f64(),
        },
        _ => a == b,
    }
}

/// Whether a float is this integer, exactly. The integer is not made a float: from 2^53 that would round it.
fn is_whole(float: f64, whole: i128) -> bool {
    // The cast saturates, and no JSON integer is near the ends of an i128.
    float.fract() == 0.0 && float as i128 == whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::message;

    /// Evaluates as a route does.
    fn check(conditions: Vec<(Operand, Condition)>, message: &Message, expected: bool) {
        let mut payload = Payload::Unread;
        let holds = conditions
            .iter()
            .all(|(operand, condition)| condition.holds(operand, message, &mut payload));
        assert_eq!(holds, expected, "{conditions:?} on {message:?}");
    }

    #[test]
    fn conditions_hold_on_attributes_and_pointers() {
        let m = message(
            &[("type", "order.created"), ("to", "SG")],
            r#"{"n":1,"a":{"b":"x"}}"#,
        );
        let attribute = |k: &str| Operand::Attribute(k.to_owned());
        let pointer = |p: &str| Operand::Pointer(p.to_owned());
        check(vec![], &m, true);
        check(
            vec![(attribute("to"), Condition::Equals("SG".into()))],
            &m,
            true,
        );
        check(
            vec![(attribute("to"), Condition::Equals("S".into()))],
            &m,
            false,
        );
        check(
            vec![(
                attribute("to"),
                Condition::OneOf(vec!["DE".into(), "SG".into()]),
            )],
            &m,
            true,
        );
        check(
            vec![(attribute("type"), Condition::Prefix("order.".into()))],
            &m,
            true,
        );
        check(
            vec![(attribute("type"), Condition::Prefix("orders".into()))],
            &m,
            false,
        );
        check(vec![(attribute("x"), Condition::Exists(false))], &m, true);
        check(vec![(attribute("x"), Condition::Exists(true))], &m, false);
        check(vec![(pointer("/n"), Condition::Json(1.into()))], &m, true);
        check(
            vec![(pointer("/a/b"), Condition::Equals("x".into()))],
            &m,
            true,
        );
        check(vec![(pointer("/a/c"), Condition::Exists(true))], &m, false);
        let not_json = message(&[], "<xml/>");
        check(
            vec![(pointer("/n"), Condition::Json(1.into()))],
            &not_json,
            false,
        );
    }

    #[test]
    fn a_number_matches_by_its_value() {
        let pointer = || Operand::Pointer("/n".to_owned());
        let is = |payload, expected: Value, holds| {
            let condition = vec![(pointer(), Condition::Json(expected))];
            check(condition, &message(&[], payload), holds);
        };
        is(r#"{"n":1.0}"#, 1.into(), true);
        is(r#"{"n":1}"#, 1.0.into(), true);
        is(r#"{"n":1e2}"#, 100.into(), true);
        is(r#"{"n":-0.0}"#, 0.into(), true);
        is(r#"{"n":0.5}"#, 0.5.into(), true);
        is(r#"{"n":1.5}"#, 1.into(), false);
        is(r#"{"n":"1"}"#, 1.into(), false);
        is(
            r#"{"n":9007199254740993}"#,
            9_007_199_254_740_992.0.into(),
            false,
        );
        is(r#"{"n":18446744073709551615}"#, u64::MAX.into(), true);
        is(r#"{"n":1e300}"#, i64::MAX.into(), false);
    }
}
