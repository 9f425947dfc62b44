//! The channels: how they are doing, and pausing them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use tokio::sync::watch;
use wharf_api::{
    ChannelStatus, ChannelView, ChannelsView, LaneStatus, LaneView, PauseInput, Problem,
    ProblemCode, ResumeInput,
};
use wharf_core::breaker::State as Breaker;
use wharf_core::{ChannelName, Status, TimeMs};
use wharf_store::{ChannelStats, SetStateError};

use super::App;
use super::auth::{Caller, name_of};
use super::input::input;
use super::problem::{Answer, internal, not_changed, read};
use crate::clock;
use crate::config;
use crate::dispatch::{self, LaneShown, Lanes};
use crate::egress::Origin;
use crate::limits::{LANES_SHOWN_MAX, PAUSE_REASON_BYTES_MAX};
use crate::pauses::Pause;

/// A channel, for those who look at it.
pub(crate) struct Shown {
    name: ChannelName,
    plugin: String,
    /// As configured.
    parallelism: usize,
    bound: watch::Receiver<Option<Arc<dispatch::Channel>>>,
    lanes: Arc<Lanes>,
    receives: bool,
    receipt_grace: Duration,
}

impl Shown {
    pub(crate) fn new(
        channel: &config::Channel,
        bound: watch::Receiver<Option<Arc<dispatch::Channel>>>,
        lanes: Arc<Lanes>,
    ) -> Self {
        Self {
            name: channel.name.clone(),
            plugin: channel.send.plugin.clone(),
            parallelism: channel.parallelism,
            bound,
            lanes,
            receives: channel.receive.is_some(),
            receipt_grace: channel.receipt_grace,
        }
    }

    /// Whether what partners report is read by a plugin.
    pub(super) fn receives(&self) -> bool {
        self.receives
    }

    /// How long a report waits for the delivery that it is about.
    pub(crate) fn receipt_grace(&self) -> Duration {
        self.receipt_grace
    }

    pub(crate) fn bound(&self) -> watch::Receiver<Option<Arc<dispatch::Channel>>> {
        self.bound.clone()
    }

    pub(crate) fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    /// The lane of a delivery whose stored wire form names this endpoint, or none of its own.
    pub(super) fn lane(&self, endpoint: Option<&str>) -> Option<String> {
        let bound = self.bound.borrow();
        Some(bound.as_ref()?.lane(endpoint).to_string())
    }

    pub(crate) fn is(&self, name: &ChannelName) -> bool {
        self.name == *name
    }
}

/// `GET /v1/channels`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<ChannelsView>, Answer> {
    let channels = show(app, |_| true).await?;
    Ok(Json(ChannelsView { channels }))
}

/// `POST /v1/channels/{name}/pause`: nothing is sent until it is resumed; what is in flight ends.
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ChannelView>, Answer> {
    let name = known(&app, name)?;
    let PauseInput { reason, lane } = input(request).await?;
    let lane = lane_name(lane)?;
    let reason = reason.filter(|text| !text.trim().is_empty());
    if reason
        .as_ref()
        .is_some_and(|text| text.len() > PAUSE_REASON_BYTES_MAX)
    {
        let why = format!("reason: it has more than {PAUSE_REASON_BYTES_MAX} bytes");
        return Err(Problem::new(ProblemCode::InvalidField, why)
            .field("reason")
            .into());
    }
    let by = name_of(caller.as_ref());
    let paused = app.pauses.pause(
        &name,
        lane.as_deref(),
        reason.clone(),
        by.map(str::to_owned),
    );
    paused.await.map_err(|e| not_set(&e))?;
    tracing::warn!(channel = %name, lane, by, reason, "paused by an operator");
    one(app, &name).await
}

/// `POST /v1/channels/{name}/resume`
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ChannelView>, Answer> {
    let name = known(&app, name)?;
    let ResumeInput { lane } = input(request).await?;
    let lane = lane_name(lane)?;
    let resumed = app.pauses.resume(&name, lane.as_deref());
    resumed.await.map_err(|e| not_set(&e))?;
    tracing::info!(channel = %name, lane, by = name_of(caller.as_ref()), "resumed by an operator");
    one(app, &name).await
}

/// The name of the lane that a URL leads to.
fn lane_name(url: Option<String>) -> Result<Option<String>, Answer> {
    let Some(url) = url else {
        return Ok(None);
    };
    let parsed = url
        .parse()
        .map_err(|e: http::uri::InvalidUri| e.to_string());
    match parsed.and_then(|uri| Origin::of(&uri)) {
        Ok(origin) => Ok(Some(origin.to_string())),
        Err(why) => {
            let why = format!("lane: it is no URL such as https://partner.example: {why}");
            Err(Problem::new(ProblemCode::InvalidField, why)
                .field("lane")
                .into())
        }
    }
}

fn not_set(error: &SetStateError) -> Answer {
    match error {
        SetStateError::Write(error) => not_changed(error),
        SetStateError::Full => {
            let why = "more lanes and channels are paused than are kept; resume some of them";
            Problem::new(ProblemCode::InvalidField, why).into()
        }
        SetStateError::Name(_) => {
            let why = "lane: it is longer than a lane's name can be";
            Problem::new(ProblemCode::InvalidField, why)
                .field("lane")
                .into()
        }
        SetStateError::TooLarge(_) => internal(error),
    }
}

/// A configured channel, as a path names it.
pub(super) fn known(
    app: &App,
    name: Result<Path<String>, PathRejection>,
) -> Result<ChannelName, Answer> {
    known_name(app, &name.map_or_else(|_| String::new(), |Path(name)| name))
}

/// A configured channel.
pub(super) fn known_name(app: &App, name: &str) -> Result<ChannelName, Answer> {
    let live = app.live();
    let channels = live.channels.iter().map(|channel| &channel.name);
    let found = channels.clone().find(|channel| channel.as_str() == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = channels.map(ChannelName::as_str).collect();
        let why = format!(
            "there is no channel {name:?}; there are {}",
            known.join(", ")
        );
        Problem::new(ProblemCode::ChannelNotFound, why).into()
    })
}

async fn one(app: Arc<App>, name: &ChannelName) -> Result<Json<ChannelView>, Answer> {
    let name = name.clone();
    let mut shown = show(app, move |channel| channel.name == name).await?;
    let one = shown.pop();
    one.map(Json).ok_or_else(|| {
        Problem::new(
            ProblemCode::ChannelNotFound,
            "there is no such channel any more",
        )
        .into()
    })
}

async fn show(
    app: Arc<App>,
    is_wanted: impl Fn(&Shown) -> bool + Send + 'static,
) -> Result<Vec<ChannelView>, Answer> {
    // What comes first in a queue may be on disk.
    read(move || {
        let stats = app.store.stats().channels;
        let stats: BTreeMap<_, _> = stats.iter().map(|one| (&one.channel, one)).collect();
        let behind: BTreeMap<_, _> = app.store.behind()?.into_iter().collect();
        let reasons = app.degraded.list();
        let live = app.live();
        let shown = live.channels.iter().filter(|channel| is_wanted(channel));
        let views = shown.map(|channel| {
            let name = &channel.name;
            let pause = app.pauses.of(name);
            let unavailable = reasons
                .iter()
                .find(|named| named.name == format!("channel {name}"))
                .map(|named| named.reason.clone());
            let (stats, behind) = (stats.get(name).copied(), behind.get(name).copied());
            view(channel, pause.as_deref(), unavailable, stats, behind)
        });
        Ok::<_, wharf_store::ReadError>(views.collect())
    })
    .await
}

fn view(
    channel: &Shown,
    pause: Option<&Pause>,
    unavailable: Option<String>,
    stats: Option<&ChannelStats>,
    behind: Option<TimeMs>,
) -> ChannelView {
    let bound = channel
        .bound
        .borrow()
        .as_ref()
        .map(|bound| bound.parallelism);
    let (status, reason) = match (pause, bound) {
        (Some(pause), _) => (ChannelStatus::Paused, pause.reason.clone()),
        (None, Some(_)) => (ChannelStatus::Running, None),
        (None, None) => (ChannelStatus::Unavailable, unavailable),
    };
    let depths = stats.map(|stats| stats.depths).unwrap_or_default();
    let deliveries = Status::ALL.iter().filter_map(|status| {
        let count = depths.status(*status);
        (count > 0).then(|| (status.to_string(), count))
    });
    ChannelView {
        name: channel.name.to_string(),
        plugin: channel.plugin.clone(),
        status,
        reason,
        since: pause.map(|pause| pause.since().to_string()),
        by: pause.and_then(|pause| pause.by.clone()),
        parallelism: bound.unwrap_or(channel.parallelism) as u64,
        ready: stats.map_or(0, |stats| stats.ready),
        in_flight: stats.map_or(0, |stats| stats.leased),
        behind_since: behind.map(|at| at.to_string()),
        deliveries: deliveries.collect(),
        closed_until: channel
            .lanes
            .closed_until(clock::now())
            .map(|until| until.to_string()),
        lanes: channel
            .lanes
            .shown()
            .into_iter()
            .take(LANES_SHOWN_MAX)
            .map(lane_view)
            .collect(),
    }
}

fn lane_view(lane: LaneShown) -> LaneView {
    let (status, until) = match (&lane.pause, lane.breaker) {
        (Some(_), _) => (LaneStatus::Paused, None),
        (None, Breaker::Closed { .. }) => (LaneStatus::Running, None),
        (None, Breaker::Open { until, .. }) => (LaneStatus::Open, Some(until)),
        (None, Breaker::HalfOpen { .. }) => (LaneStatus::HalfOpen, None),
    };
    let pause = lane.pause.as_deref();
    LaneView {
        status,
        reason: pause.and_then(|pause| pause.reason.clone()),
        since: pause.map(|pause| pause.since().to_string()),
        by: pause.and_then(|pause| pause.by.clone()),
        until: until.map(|until| until.to_string()),
        in_flight: lane.running as u64,
        in_line: lane.waiting as u64,
        lane: lane.name,
    }
}
