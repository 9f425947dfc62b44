//! Routes, and why a message goes where it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All routes, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutesView {
    /// None of them where a router decides.
    pub routes: Vec<RouteView>,
}

/// A route, with the keys of `[[route]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteView {
    /// Its name. Left out: `route-N` by its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the message goes.
    pub channels: Vec<String>,
    /// To all of them, `fan-out`, or `failover`. Left out: `fan-out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Definite failures after which a failover goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover_after: Option<u32>,
    /// Whether later routes are left out once this one matched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// Whether it is only for what no other route matched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub catch_all: bool,
    /// What must hold.
    #[serde(default, rename = "match", skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, Value>,
}

/// What a change of the configuration came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadView {
    /// What is in use now, one sentence each. None: nothing that can be changed while the host runs.
    pub changed: Vec<String>,
    /// Keys that have changed too, and take a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_needed: Vec<String>,
}

/// Where a message would go, and what each route says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteExplainView {
    /// The message's id; made where it has none.
    pub message: String,
    /// Its deliveries, in order. None: it would be unroutable.
    pub deliveries: Vec<PlannedView>,
    /// The routes, in order. None of them where a router decides.
    pub routes: Vec<RouteVerdictView>,
    /// The router, where one decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<RouterView>,
}

/// What a router says of a message, beside its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterView {
    /// Its plugin.
    pub plugin: String,
    /// Why it sends the message nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A delivery that would be made, at once or later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedView {
    /// Its channel.
    pub channel: String,
    /// The route that asks for it.
    pub route: String,
    /// Set where it is in reserve: after how many definite failures of the one before it its turn comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_failures: Option<u32>,
}

/// What a route says of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteVerdictView {
    /// Its name.
    pub route: String,
    /// Whether it applies.
    pub verdict: RouteVerdict,
    /// What it asks, also where it was left out. None: it asks nothing.
    pub conditions: Vec<ConditionView>,
}

/// Whether a route applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteVerdict {
    /// It does.
    Matches,
    /// One of its conditions does not hold.
    Differs,
    /// It is the catch-all, and another route matched.
    Unneeded,
    /// A route before it matched and stops.
    LeftOut,
}

/// A condition of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionView {
    /// The attribute's name, or the JSON pointer.
    pub operand: String,
    /// What is asked of it, such as `is "SG"`.
    pub asks: String,
    /// What is there, such as `"DE"` or `nothing`. Long values are cut.
    pub found: String,
    /// Whether it holds.
    pub holds: bool,
}
