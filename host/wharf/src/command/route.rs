//! `wharf route`

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use wharf_api::{PlannedView, RouteExplainView, RouteVerdict, RouteVerdictView, RouteView};
use wharf_server::config::{Overrides, load};
use wharf_server::routing::{self, ExplainError};

use crate::arguments::{RouteExplain, RouteList, RoutePut};
use crate::command::{client, config};
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &RouteList) -> Result<(), Failure> {
    let view = client(&arguments.host).routes()?;
    if arguments.json {
        return output::json(&view);
    }
    let rows: Vec<Vec<String>> = view.routes.iter().map(row).collect();
    output::text(&output::table(&["ROUTE", "MATCH", "CHANNELS", ""], &rows))
}

fn row(route: &RouteView) -> Vec<String> {
    let conditions = route.conditions.iter();
    let conditions: Vec<_> = conditions
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    let (between, after) = match (route.mode.as_deref(), route.failover_after) {
        (Some("failover"), Some(after)) => (" then ", format!("failover after {after}")),
        _ => (", ", String::new()),
    };
    let marks = [(route.stop, "stop"), (route.catch_all, "catch-all")].into_iter();
    let marks = marks.filter(|(is_set, _)| *is_set);
    let marks = marks.map(|(_, mark)| mark.to_owned());
    let marks: Vec<_> = marks
        .chain(Some(after).filter(|after| !after.is_empty()))
        .collect();
    vec![
        route.name.clone().unwrap_or_default(),
        conditions.join(", "),
        route.channels.join(between),
        marks.join(", "),
    ]
}

pub(crate) fn put(arguments: &RoutePut) -> Result<(), Failure> {
    let routes = read(&arguments.file)?;
    let view = client(&arguments.host).put_routes(&routes)?;
    config::tell(&view, arguments.json)
}

pub(crate) fn explain(arguments: &RouteExplain) -> Result<(), Failure> {
    let config = load(&arguments.config, Overrides::default())
        .map_err(|e| Failure::failed(e).hint("wharf config check"))?;
    let message = read(&arguments.file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Failure::failed)?;
    let explained = runtime.block_on(routing::explain(&config, &message));
    let view = explained.map_err(|error| {
        let hint = match &error {
            ExplainError::Message(_) => {
                "give it a message in the JSON form, as `POST /v1/messages` takes it"
            }
            ExplainError::Router { .. } => "`wharf plugin check FILE` says what is wrong with it",
        };
        Failure::failed(error)
            .context(arguments.file.display().to_string())
            .hint(hint)
    })?;
    match arguments.json {
        true => output::json(&view),
        false => output::text(&text(&view)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(path).map(|read| bytes = read)
    };
    read.with_context(|| format!("cannot read {}", path.display()))
        .map_err(Failure::failed)?;
    Ok(bytes)
}

fn text(view: &RouteExplainView) -> String {
    let at_once = view.deliveries.iter();
    let at_once = at_once.filter(|one| one.after_failures.is_none()).count();
    let mut text = match at_once {
        0 => format!(
            "{} would be unroutable: no route matches it\n",
            view.message
        ),
        1 => format!("{} would have 1 delivery\n", view.message),
        count => format!("{} would have {count} deliveries\n", view.message),
    };
    for delivery in &view.deliveries {
        let _ = writeln!(text, "  {}", planned(delivery));
    }
    if let Some(router) = &view.router {
        let _ = match &router.reason {
            None => writeln!(text, "\nthe router {} decided", router.plugin),
            Some(reason) => writeln!(text, "\nthe router {}: {reason}", router.plugin),
        };
    }
    for one in &view.routes {
        route(&mut text, one);
    }
    text
}

fn planned(delivery: &PlannedView) -> String {
    let PlannedView {
        channel,
        route,
        after_failures,
    } = delivery;
    match after_failures {
        None => format!("channel {channel}, by route {route}"),
        Some(count) => format!(
            "  then channel {channel}, by route {route}, after {count} definite failure{}",
            if *count == 1 { "" } else { "s" }
        ),
    }
}

fn route(text: &mut String, one: &RouteVerdictView) {
    let verdict = match one.verdict {
        RouteVerdict::Matches => "matches",
        RouteVerdict::Differs => "does not match",
        RouteVerdict::Unneeded => "is not needed: it is the catch-all, and another route matches",
        RouteVerdict::LeftOut => "is left out: a route before it matches and stops",
    };
    let _ = writeln!(text, "\nroute {} {verdict}", one.route);
    if one.conditions.is_empty() {
        text.push_str("  it asks nothing\n");
    }
    for condition in &one.conditions {
        let _ = writeln!(
            text,
            "  {}  {} {}: there is {}",
            if condition.holds { "yes" } else { "no " },
            condition.operand,
            condition.asks,
            condition.found
        );
    }
}
