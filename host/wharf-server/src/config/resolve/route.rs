//! `[[route]]`.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::PathBuf;

use wharf_core::{ChannelName, MessageId, limits, route};

use super::super::file::{File, Mode, RoutesFile, beside};
use super::super::nearest::nearest;
use super::super::{Channel, bounds, file};
use super::{Resolver, explain};

impl Resolver<'_> {
    /// Puts the routes of a file of their own in their place, or `routes` as if they stood there. Returns that file.
    pub(super) fn take_routes(&mut self, file: &mut File, routes: Option<&str>) -> Option<PathBuf> {
        let named = file.api.routes_file.as_ref()?;
        let path = beside(self.base, named);
        let at = format!("api.routes-file: {}", named.display());
        if !file.routes.is_empty() {
            self.problem(format!(
                "{at}: there are [[route]] tables beside it: move them into it"
            ));
        }
        let text = match routes {
            Some(routes) => Ok(routes.to_owned()),
            None => std::fs::read_to_string(&path),
        };
        match text {
            Ok(text) => match toml::from_str::<RoutesFile>(&text) {
                Ok(routes) => file.routes = routes.routes,
                Err(error) => {
                    self.problem(format!("{at}: {}", explain(&error, Some(&text))));
                }
            },
            // It is made by the first change.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.problem(format!("{at}: it cannot be read: {error}")),
        }
        Some(path)
    }

    pub(super) fn routes(
        &mut self,
        routes: Vec<file::Route>,
        channels: &[Channel],
    ) -> route::Table {
        let mut table = route::Table::default();
        let mut names = BTreeSet::new();
        let count = routes.len();
        for (number, route) in (1..).zip(routes) {
            let name = route
                .name
                .clone()
                .unwrap_or_else(|| format!("route-{number}"));
            let at = format!("route {name:?}");
            let mode = self.mode(&at, &route);
            if MessageId::parse(&name).is_err() {
                self.problem(format!("{at}: its name takes 1 to 64 of A-Z a-z 0-9 _ -"));
            }
            if !names.insert(name.clone()) {
                self.problem(format!("{at}: there are two of this name"));
            }
            if route.catch_all && number < count {
                self.problem(format!(
                    "{at}: catch-all is for what no other route matched: put it behind the others"
                ));
            }
            if route.catch_all && !route.conditions.is_empty() {
                self.problem(format!(
                    "{at}: catch-all takes whatever is left, so it has no match: leave out one of the two"
                ));
            }
            self.route_channels(&at, &route.channels, channels);
            let mut conditions = Vec::new();
            for (key, value) in route.conditions {
                match condition(&key, value) {
                    Ok(condition) => conditions.push(condition),
                    Err(why) => self.problem(format!("{at}: match.{key}: {why}")),
                }
            }
            table.routes.push(route::Route {
                name: name.into(),
                conditions,
                channels: route.channels.iter().map(|c| ChannelName::new(c)).collect(),
                mode,
                stop: route.stop,
                is_catch_all: route.catch_all,
            });
        }
        let in_reserve = most_in_reserve(&table);
        let most = channels.len() + in_reserve;
        if in_reserve > 0 && most > limits::DELIVERIES_COUNT_MAX {
            self.problem(format!(
                "route: a message that all of them match could have {most} deliveries, those in reserve included; it can have \
                 at most {}: name fewer channels in failovers",
                limits::DELIVERIES_COUNT_MAX
            ));
        }
        table
    }

    fn mode(&mut self, at: &str, route: &file::Route) -> route::Mode {
        let key = format_args!("{at}: failover-after");
        let after = self.within(key, route.failover_after, &bounds::FAILOVER_AFTER);
        let after = after.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        match route.mode {
            Mode::Failover if route.channels.len() < 2 => {
                self.problem(format!(
                    "{at}: a failover goes from one channel to the next: name two or more"
                ));
                route::Mode::Failover(after)
            }
            Mode::Failover => route::Mode::Failover(after),
            Mode::FanOut => {
                if route.failover_after.is_some() {
                    self.problem(format!(
                        "{at}: failover-after belongs to mode = \"failover\", and every channel gets a delivery here"
                    ));
                }
                route::Mode::FanOut
            }
        }
    }

    fn route_channels(&mut self, at: &str, names: &[String], channels: &[Channel]) {
        if names.is_empty() {
            self.problem(format!("{at}: it names no channels"));
        }
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                self.problem(format!("{at}: it names channel {name:?} twice"));
                continue;
            }
            if !channels.iter().any(|c| c.name.as_str() == name) {
                let near = nearest(name, channels.iter().map(|c| c.name.as_str()))
                    .map(|near| format!("; did you mean {near:?}?"))
                    .unwrap_or_default();
                self.problem(format!("{at}: there is no channel {name:?}{near}"));
            }
        }
    }
}

/// How many deliveries failovers have in reserve at most, for one message.
fn most_in_reserve(table: &route::Table) -> usize {
    let failovers = table
        .routes
        .iter()
        .filter(|route| route.mode != route::Mode::FanOut);
    failovers
        .map(|route| route.channels.len().saturating_sub(1))
        .sum()
}

fn condition(key: &str, value: toml::Value) -> Result<(route::Operand, route::Condition), String> {
    let is_pointer = key.starts_with('/');
    let operand = if is_pointer {
        if !is_escaped(key) {
            return Err("`~` in a JSON pointer is written `~0`, and `/` in a name `~1`".to_owned());
        }
        route::Operand::Pointer(key.to_owned())
    } else {
        route::Operand::Attribute(key.to_owned())
    };
    let condition = match value {
        toml::Value::String(text) => match text.strip_suffix('*') {
            Some(prefix) => route::Condition::Prefix(prefix.to_owned()),
            None => route::Condition::Equals(text),
        },
        toml::Value::Boolean(wanted) => route::Condition::Exists(wanted),
        toml::Value::Array(values) => one_of(values)?,
        toml::Value::Table(table) => equals(is_pointer, table)?,
        number @ (toml::Value::Integer(_) | toml::Value::Float(_)) if is_pointer => {
            exactly(true, number)?
        }
        other => {
            return Err(format!(
                "a value of type {} cannot be matched: it takes a text, a list of texts, true/false, or {{ equals = … }}",
                other.type_str()
            ));
        }
    };
    Ok((operand, condition))
}

/// Whether every `~` of a pointer is the begin of an escape (RFC 6901): what is not finds nothing, ever.
fn is_escaped(pointer: &str) -> bool {
    let mut after = pointer.split('~').skip(1);
    after.all(|text| text.starts_with(['0', '1']))
}

fn one_of(values: Vec<toml::Value>) -> Result<route::Condition, String> {
    if values.is_empty() {
        return Err(
            "an empty list matches nothing: put a text into it, or leave it out".to_owned(),
        );
    }
    let texts = values.into_iter().map(|value| match value {
        toml::Value::String(text) => Ok(text),
        other => Err(format!("{other} in the list is no text")),
    });
    Ok(route::Condition::OneOf(texts.collect::<Result<_, _>>()?))
}

/// `{ equals = … }`
fn equals(is_pointer: bool, mut table: toml::Table) -> Result<route::Condition, String> {
    match (table.remove("equals"), table.is_empty()) {
        (Some(value), true) => exactly(is_pointer, value),
        _ => Err("a table here is { equals = … }, and nothing else".to_owned()),
    }
}

fn exactly(is_pointer: bool, value: toml::Value) -> Result<route::Condition, String> {
    match value {
        toml::Value::String(text) => Ok(route::Condition::Equals(text)),
        toml::Value::Integer(number) if is_pointer => Ok(route::Condition::Json(number.into())),
        toml::Value::Boolean(wanted) if is_pointer => Ok(route::Condition::Json(wanted.into())),
        // JSON has no infinity and no NaN.
        toml::Value::Float(number) if is_pointer && number.is_finite() => {
            Ok(route::Condition::Json(number.into()))
        }
        other if is_pointer => Err(format!(
            "nothing in a payload equals {other}: equals takes a text, a number, or true/false"
        )),
        other => Err(format!("an attribute is a text and never equals {other}")),
    }
}
