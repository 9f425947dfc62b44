//! Text with placeholders, parsed once and filled for each call.

use std::fmt;

use wharf_plugin_common::time::rfc3339;

use crate::bindings::exports::wharf::delivery::enricher::Call;

#[derive(Debug, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Placeholder {
    MessageId,
    Channel,
    Route,
    Attempt,
    Now,
    NowMs,
    Accepted,
    AcceptedMs,
}

/// Why a template cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum Problem {
    UnknownPlaceholder(String),
    LoneBrace(char),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlaceholder(name) => {
                let known = Placeholder::NAMES
                    .map(|(known, _)| format!("{{{known}}}"))
                    .join(", ");
                write!(f, "unknown placeholder {{{name}}}, known are {known}")
            }
            Self::LoneBrace(brace) => write!(f, "a lone `{brace}`; write it twice to mean itself"),
        }
    }
}

impl Placeholder {
    const NAMES: [(&str, Self); 8] = [
        ("message-id", Self::MessageId),
        ("channel", Self::Channel),
        ("route", Self::Route),
        ("attempt", Self::Attempt),
        ("now", Self::Now),
        ("now-ms", Self::NowMs),
        ("accepted", Self::Accepted),
        ("accepted-ms", Self::AcceptedMs),
    ];

    fn named(name: &str) -> Result<Self, Problem> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        match found {
            Some((_, placeholder)) => Ok(*placeholder),
            None => Err(Problem::UnknownPlaceholder(name.to_owned())),
        }
    }

    fn fill(self, c: &Call, out: &mut String) {
        match self {
            Self::MessageId => out.push_str(&c.message_id),
            Self::Channel => out.push_str(&c.channel),
            Self::Route => out.push_str(&c.route),
            Self::Attempt => out.push_str(&c.attempt.to_string()),
            Self::Now => out.push_str(&rfc3339(c.now_ms)),
            Self::NowMs => out.push_str(&c.now_ms.to_string()),
            Self::Accepted => out.push_str(&rfc3339(c.accepted_ms)),
            Self::AcceptedMs => out.push_str(&c.accepted_ms.to_string()),
        }
    }
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let (mut parts, mut literal, mut rest) = (vec![], String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err(Problem::LoneBrace('}'));
            } else {
                let (name, after) = after.split_once('}').ok_or(Problem::LoneBrace('{'))?;
                let placeholder = Placeholder::named(name)?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Value(placeholder));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    pub(crate) fn fill(&self, c: &Call) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(placeholder) => placeholder.fill(c, &mut out),
            }
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn call() -> Call {
        Call {
            channel: "partner-a".to_owned(),
            route: "all".to_owned(),
            message_id: "01J".to_owned(),
            delivery: 1,
            idempotency_key: "01J".to_owned(),
            attempt: 2,
            accepted_ms: 1_614_265_330_042,
            now_ms: 1_614_265_331_000,
            ordering_key: None,
            attributes: vec![],
            extra: vec![],
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, Problem>) {
        let filled = Template::parse(text).map(|template| template.fill(&call()));
        assert_eq!(filled.as_deref(), expected.as_ref().map(|text| *text));
    }

    #[test]
    fn placeholders_are_filled() {
        check("", Ok(""));
        check("plain é", Ok("plain é"));
        check("{message-id}", Ok("01J"));
        check("{route}>{channel}#{attempt}!", Ok("all>partner-a#2!"));
        check(
            "{now} {now-ms}",
            Ok("2021-02-25T15:02:11.000Z 1614265331000"),
        );
        check(
            "{accepted} {accepted-ms}",
            Ok("2021-02-25T15:02:10.042Z 1614265330042"),
        );
        check("{{\"id\":\"{message-id}\"}}", Ok("{\"id\":\"01J\"}"));
        check("{{{attempt}}}", Ok("{2}"));
    }

    #[test]
    fn problems_are_named() {
        let unknown = |name: &str| Problem::UnknownPlaceholder(name.to_owned());
        check("a {nope}", Err(unknown("nope")));
        check("{}", Err(unknown("")));
        check("{ now }", Err(unknown(" now ")));
        check("a { b", Err(Problem::LoneBrace('{')));
        check("a } b", Err(Problem::LoneBrace('}')));
        let text = unknown("nope").to_string();
        assert!(
            text.starts_with("unknown placeholder {nope}, known are {message-id}, "),
            "{text}"
        );
    }
}
