//! Routes as the API shows and takes them: with the keys of `[[route]]`.

use serde_json::{Value, json};
use wharf_api::RouteView;
use wharf_core::route::{Condition, Mode, Operand, Route};

/// A route as it would be configured.
pub(crate) fn view(route: &Route) -> RouteView {
    let conditions = route.conditions.iter().map(|(operand, condition)| {
        let key = match operand {
            Operand::Attribute(name) => name.clone(),
            Operand::Pointer(pointer) => pointer.clone(),
        };
        (key, written(condition))
    });
    let (mode, failover_after) = match route.mode {
        Mode::FanOut => (None, None),
        Mode::Failover(after) => (Some("failover".to_owned()), Some(after.get())),
    };
    RouteView {
        name: Some(route.name.to_string()),
        conditions: conditions.collect(),
        channels: route.channels.iter().map(ToString::to_string).collect(),
        mode,
        failover_after,
        stop: route.stop,
        catch_all: route.is_catch_all,
    }
}

fn written(condition: &Condition) -> Value {
    match condition {
        Condition::Equals(text) if text.ends_with('*') => json!({ "equals": text }),
        Condition::Equals(text) => json!(text),
        Condition::OneOf(texts) => json!(texts),
        Condition::Prefix(prefix) => json!(format!("{prefix}*")),
        Condition::Exists(wanted) => json!(wanted),
        Condition::Json(value) if value.is_number() => value.clone(),
        Condition::Json(value) => json!({ "equals": value }),
    }
}
