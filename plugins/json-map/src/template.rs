//! Literal text with JSON pointers in braces, read from the settings.

use serde_json::Value;

use crate::pointer::Pointer;

#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// Literal text, escaped as it stands in a JSON string.
    Text(String),
    /// What a pointer finds.
    Found(Pointer),
}

/// The error finishes the sentence "setting `map` has …".
pub(crate) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut literal, mut rest) = (vec![], String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        let lone = || format!("a lone `{brace}`; write it twice to mean itself");
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
        } else if brace == "}" {
            return Err(lone());
        } else {
            let (pointer, after) = after.split_once('}').ok_or_else(lone)?;
            if !literal.is_empty() {
                parts.push(Part::Text(escape(&literal)));
                literal.clear();
            }
            parts.push(Part::Found(Pointer::parse(pointer)?));
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(escape(&literal)));
    }
    Ok(parts)
}

/// The text as it stands between the quotes of a JSON string.
pub(crate) fn escape(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[Result<&str, &str>]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|part| match part {
                Ok(text) => Part::Text((*text).to_owned()),
                Err(pointer) => Part::Found(Pointer::parse(pointer).unwrap()),
            })
            .collect();
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    /// Text stands as `Ok`, a pointer as `Err`.
    #[test]
    fn text_and_pointers() {
        check("", &[]);
        check("a \"é\"\n", &[Ok("a \\\"é\\\"\\n")]);
        check("{/a}", &[Err("/a")]);
        check("{}", &[Err("")]);
        check(
            "x{/a/0}{/b~1c}y",
            &[Ok("x"), Err("/a/0"), Err("/b~1c"), Ok("y")],
        );
        check("{{}}", &[Ok("{}")]);
        check("{{{/a}}}", &[Ok("{"), Err("/a"), Ok("}")]);
        // A pointer ends at the first brace that can close it.
        check("{/a{b}", &[Err("/a{b")]);
    }

    #[test]
    fn problems_are_named() {
        for (text, named) in [
            ("a { b", "a lone `{`"),
            ("a } b", "a lone `}`"),
            ("{/a}}", "a lone `}`"),
            ("{{/a}", "a lone `}`"),
            ("{a}", "`a`, not a JSON pointer"),
            ("{/a~2}", "`/a~2`, not"),
            ("{ /a }", "` /a `, not"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(named), "{text}: {error}");
        }
    }
}
