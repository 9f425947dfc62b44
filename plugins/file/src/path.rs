//! The file's path: text with a few placeholders, none of whose values can lead anywhere else.

use wharf_plugin_common::time::rfc3339;

use crate::bindings::exports::wharf::delivery::channel::Call;

#[derive(Debug, PartialEq)]
pub(crate) struct Path {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    /// Channels are named `[A-Za-z0-9_-]`.
    Channel,
    Date,
}

impl Path {
    /// Reads a path; the error finishes the sentence "setting `path` …".
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (vec![], String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let named = after.split_once('}').filter(|_| brace == "{");
            let (name, after) =
                named.ok_or_else(|| format!("has a lone `{brace}`; write it twice to mean it"))?;
            let placeholder = match name {
                "channel" => Part::Channel,
                "date" => Part::Date,
                _ => {
                    return Err(format!(
                        "has the unknown placeholder {{{name}}}; there are {{channel}} and {{date}}"
                    ));
                }
            };
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(placeholder);
            rest = after;
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        let path = Self { parts };
        // As an example: a placeholder's value is never empty and has neither dots nor slashes.
        let example = path.fill_with("c", "d");
        let steps = example.strip_prefix('/').unwrap_or(&example).split('/');
        for step in steps {
            if matches!(step, "" | "." | "..") {
                return Err("must name a file, without empty steps, `.` and `..`".to_owned());
            }
        }
        if example.contains('\0') {
            return Err("must have no zero byte".to_owned());
        }
        Ok(path)
    }

    /// The path for one call.
    pub(crate) fn fill(&self, c: &Call) -> String {
        let now = rfc3339(c.now_ms);
        let date = now.split('T').next().unwrap_or(&now);
        self.fill_with(&c.channel, date)
    }

    fn fill_with(&self, channel: &str, date: &str) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text,
            Part::Channel => channel,
            Part::Date => date,
        });
        parts.collect()
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
            attributes: vec![("type".to_owned(), "a".to_owned())],
            extra: vec![],
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let filled = Path::parse(text).map(|path| path.fill(&call()));
        match (&filled, expected) {
            (Ok(path), Ok(expected)) => assert_eq!(path, expected),
            (Err(what), Err(expected)) => assert!(what.contains(expected), "{what}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn placeholders_are_filled_and_nothing_leads_out() {
        check("/out/orders.ndjson", Ok("/out/orders.ndjson"));
        check("orders.ndjson", Ok("orders.ndjson"));
        check(
            "/out/{channel}/{date}.ndjson",
            Ok("/out/partner-a/2021-02-25.ndjson"),
        );
        check("{{{channel}}}", Ok("{partner-a}"));
        check("..a/b..", Ok("..a/b.."));
        check("/out/{message-id}", Err("{message-id}"));
        check("a{", Err("lone `{`"));
        check("a}b", Err("lone `}`"));
        for bad in [
            "", "/", "a/", "//a", "../a", "a/../b", "/..", "a/./b", "/out/..",
        ] {
            check(bad, Err("must name a file"));
        }
        check("a\0", Err("zero byte"));
    }
}
