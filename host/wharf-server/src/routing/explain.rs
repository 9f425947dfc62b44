//! `wharf route explain`: where a message would go, and why, without a host.
//!
//! The message is read by the API's own reader and judged by the table that a host would have: what is said here is what
//! would happen.

use wharf_api::{
    ConditionView, PlannedView, Problem, RouteExplainView, RouteVerdict, RouteVerdictView,
};
use wharf_core::route::{Check, Condition, Explained, Found, Operand, Verdict};

use crate::config::Config;
use crate::http;
use crate::limits::EXPLAINED_VALUE_CHARS_MAX;

/// Explains where a message in the JSON form goes by the routes of a configuration.
pub fn explain(config: &Config, message: &[u8]) -> Result<RouteExplainView, Problem> {
    let message = http::read_message(message, config.payload_bytes_max)?;
    let (planned, routes) = config.routes.explain(&message);
    let deliveries = planned.iter().map(|planned| PlannedView {
        channel: planned.channel.to_string(),
        route: planned.route.to_string(),
        after_failures: planned.after.map(std::num::NonZeroU32::get),
    });
    Ok(RouteExplainView {
        message: message.id.to_string(),
        deliveries: deliveries.collect(),
        routes: routes.iter().map(route).collect(),
    })
}

fn route(explained: &Explained<'_>) -> RouteVerdictView {
    RouteVerdictView {
        route: explained.route.name.to_string(),
        verdict: match explained.verdict {
            Verdict::Matches => RouteVerdict::Matches,
            Verdict::Differs => RouteVerdict::Differs,
            Verdict::Unneeded => RouteVerdict::Unneeded,
            Verdict::LeftOut => RouteVerdict::LeftOut,
        },
        conditions: explained.checks.iter().map(condition).collect(),
    }
}

fn condition(check: &Check<'_>) -> ConditionView {
    ConditionView {
        operand: match check.operand {
            Operand::Attribute(name) => name.clone(),
            Operand::Pointer(pointer) => pointer.clone(),
        },
        asks: asks(check.condition),
        found: match &check.found {
            Found::Nothing => "nothing".to_owned(),
            Found::NoJson => "a payload that is no JSON".to_owned(),
            Found::Value(value) => cut(value.to_string()),
        },
        holds: check.holds,
    }
}

fn asks(condition: &Condition) -> String {
    match condition {
        Condition::Equals(text) => format!("is {text:?}"),
        Condition::OneOf(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
            format!("is one of {}", texts.join(", "))
        }
        Condition::Prefix(prefix) => format!("begins with {prefix:?}"),
        Condition::Exists(true) => "is there".to_owned(),
        Condition::Exists(false) => "is not there".to_owned(),
        Condition::Json(value) => format!("is {value}"),
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(EXPLAINED_VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
