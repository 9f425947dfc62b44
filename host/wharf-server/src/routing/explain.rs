//! `wharf route explain`: where a message would go, and why, without a host.
//!
//! The message is read by the API's own reader, and judged by the table, or asked about at the router, that a host would
//! have: what is said here is what would happen.

use std::num::NonZeroU32;

use tokio::runtime::Handle;
use tokio::sync::watch;
use wharf_api::{
    ConditionView, PlannedView, Problem, RouteExplainView, RouteVerdict, RouteVerdictView,
    RouterView,
};
use wharf_core::Message;
use wharf_core::route::{Check, Condition, Explained, Found, Operand, Verdict};

use super::{Plan, Router, Routing};
use crate::config::{Config, HookUse};
use crate::http;
use crate::limits::EXPLAINED_VALUE_CHARS_MAX;
use crate::plugins;

/// Why nothing is said of a message.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// A host would not accept it.
    #[error("{}", .0.detail)]
    Message(Problem),
    /// The router cannot be asked.
    #[error("the router {plugin:?} cannot be loaded: {reason}")]
    Router {
        /// Its plugin.
        plugin: String,
        /// Why.
        reason: String,
    },
}

/// Explains where a message in the JSON form goes by a configuration.
pub async fn explain(config: &Config, message: &[u8]) -> Result<RouteExplainView, ExplainError> {
    let message = http::read_message(message, config.payload_bytes_max);
    let message = message.map_err(ExplainError::Message)?;
    let mut view = RouteExplainView {
        message: message.id.to_string(),
        deliveries: Vec::new(),
        routes: Vec::new(),
        router: None,
    };
    let planned = match &config.router {
        None => {
            let (planned, routes) = config.routes.explain(&message);
            view.routes = routes.iter().map(route).collect();
            planned
        }
        Some(hook) => {
            let plan = ask(config, hook, &message).await?;
            view.router = Some(RouterView {
                plugin: hook.plugin.clone(),
                reason: plan.unrouted.and_then(|unrouted| unrouted.facts.reason),
            });
            plan.planned
        }
    };
    let deliveries = planned.iter().map(|planned| PlannedView {
        channel: planned.channel.to_string(),
        route: planned.route.to_string(),
        after_failures: planned.after.map(NonZeroU32::get),
    });
    view.deliveries = deliveries.collect();
    Ok(view)
}

/// Asks the router, as a host would.
async fn ask(config: &Config, hook: &HookUse, message: &Message) -> Result<Plan, ExplainError> {
    let failed = |reason| ExplainError::Router {
        plugin: hook.plugin.clone(),
        reason,
    };
    let plugin = plugins::load(config, &hook.plugin).await.map_err(failed)?;
    let bound = plugins::bind_router(hook, &|_| Ok(plugin.clone())).map_err(failed)?;
    let (_keeps_it, bound) = watch::channel(Some(bound));
    let router = Router::new(&hook.plugin, bound, &config.channels, Handle::current());
    Ok(Routing::Plugin(router).plan(message).await)
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
