//! W3C trace context: what a receiver is sent is a child of what the message came with, a new one for each attempt.

use crate::clock;

/// A child of a `traceparent`; none of a text that is none, which is better not passed on.
pub(super) fn child(parent: &str) -> Option<String> {
    child_of(parent, clock::random_bytes())
}

fn child_of(parent: &str, id: [u8; 8]) -> Option<String> {
    let mut fields = parent.split('-');
    let (version, trace, span, flags) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, digits| is_hex(text, digits) && text.bytes().any(|byte| byte != b'0');
    // A later version may have further fields, and is answered in the version that is known.
    let has_end = version != "00" || fields.next().is_none();
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
        && has_end;
    // An id of zeros alone is none.
    let id = if id == [0; 8] { [1; 8] } else { id };
    is_valid.then(|| format!("00-{trace}-{}-{flags}", hex::encode(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parent: &str, expected: Option<&str>) {
        assert_eq!(child_of(parent, [0xab; 8]).as_deref(), expected, "{parent}");
    }

    #[test]
    fn a_child_keeps_the_trace_and_the_flags() {
        let child = "00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-01";
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Some(child),
        );
        check(
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes",
            Some(child),
        );
        for none in [
            "",
            "00-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            check(none, None);
        }
        let zeros = child_of(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            [0; 8],
        );
        assert!(!zeros.unwrap().contains("-0000000000000000-"));
    }
}
