//! What a line says. Pure: event in, text and fields out.

use wharf_plugin_common::time::rfc3339;
use wharf_plugin_common::types::Event;

use crate::bindings::wharf::delivery::log::Level;

/// `delivery retrying`, `message unroutable` where there is no delivery, `journal gap` where there is no message.
pub(crate) fn text(event: &Event) -> String {
    let subject = if event.delivery.is_some() {
        "delivery"
    } else if event.message_id.is_empty() {
        "journal"
    } else {
        "message"
    };
    format!("{subject} {}", event.to_status)
}

/// The fields, in a fixed order; what an event does not have is left out.
pub(crate) fn fields(event: &Event) -> Vec<(String, String)> {
    let note = |name: &str| {
        let found = event.notes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    // What other events note under these names is not logged.
    let gap = |name| note(name).filter(|_| event.message_id.is_empty());
    let all = [
        ("cursor", Some(event.cursor.to_string())),
        (
            "message_id",
            Some(event.message_id.clone()).filter(|id| !id.is_empty()),
        ),
        ("delivery", event.delivery.map(|number| number.to_string())),
        ("channel", event.channel.clone()),
        ("from", event.from_status.clone()),
        ("to", Some(event.to_status.clone())),
        ("cause", Some(event.cause.clone())),
        (
            "attempt",
            (event.attempt > 0).then(|| event.attempt.to_string()),
        ),
        ("at", Some(rfc3339(event.at_ms))),
        ("code", note("code")),
        ("reason", note("reason")),
        ("first", gap("first")),
        ("last", gap("last")),
    ];
    let present = |(key, value): (&str, Option<String>)| Some((key.to_owned(), value?));
    all.into_iter().filter_map(present).collect()
}

/// The level that the setting names; without it, `info`.
pub(crate) fn level(setting: Option<&str>) -> Result<Level, String> {
    match setting.map(str::trim) {
        None | Some("info") => Ok(Level::Info),
        Some("trace") => Ok(Level::Trace),
        Some("debug") => Ok(Level::Debug),
        Some("warn") => Ok(Level::Warn),
        Some("error") => Ok(Level::Error),
        Some(other) => Err(format!(
            "setting `level` is `{other}`, expected trace, debug, info, warn or error"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            cursor: 7,
            message_id: "01J".to_owned(),
            delivery: Some(3),
            channel: Some("partner-a".to_owned()),
            from_status: Some("queued".to_owned()),
            to_status: "retrying".to_owned(),
            cause: "failed".to_owned(),
            attempt: 2,
            at_ms: 1_614_265_330_042,
            attributes: vec![("type".to_owned(), "order".to_owned())],
            notes: [
                ("code", "http-503"),
                ("other", "x"),
                ("reason", "it answered 503"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        }
    }

    fn line(event: &Event) -> String {
        let fields = fields(event)
            .into_iter()
            .map(|(key, value)| format!(" {key}={value}"));
        text(event) + &fields.collect::<String>()
    }

    /// Every field of a full event, in order, and no attribute.
    #[test]
    fn a_delivery_event_has_every_field() {
        assert_eq!(
            line(&event()),
            "delivery retrying cursor=7 message_id=01J delivery=3 channel=partner-a from=queued \
             to=retrying cause=failed attempt=2 at=2021-02-25T15:02:10.042Z code=http-503 \
             reason=it answered 503"
        );
    }

    /// What an event does not have is left out rather than written empty.
    #[test]
    fn a_message_event_leaves_out_what_it_lacks() {
        let bare = Event {
            delivery: None,
            channel: None,
            from_status: None,
            to_status: "unroutable".to_owned(),
            cause: "accepted".to_owned(),
            attempt: 0,
            at_ms: u64::MAX,
            notes: vec![],
            ..event()
        };
        assert_eq!(
            line(&bare),
            "message unroutable cursor=7 message_id=01J to=unroutable cause=accepted \
             at=18446744073709551615"
        );
    }

    #[test]
    fn levels_are_the_five_names() {
        assert_eq!(level(None), Ok(Level::Info));
        assert_eq!(level(Some("error")), Ok(Level::Error));
        let error = level(Some("loud")).unwrap_err();
        assert!(
            error.contains("`level`") && error.contains("loud"),
            "{error}"
        );
    }
}
