//! `[[route]]`.

use wharf_core::{ChannelName, route};

use super::super::file::Mode;
use super::super::nearest::nearest;
use super::super::{Channel, file};
use super::Resolver;

impl Resolver<'_> {
    pub(super) fn routes(
        &mut self,
        routes: Vec<file::Route>,
        channels: &[Channel],
    ) -> route::Table {
        let mut table = route::Table::default();
        for (index, route) in routes.into_iter().enumerate() {
            let name = route.name.unwrap_or_else(|| format!("route-{}", index + 1));
            let at = format!("route {name:?}");
            let Mode::FanOut = route.mode;
            if route.channels.is_empty() {
                self.problem(format!("{at}: it names no channels"));
            }
            for channel in &route.channels {
                if !channels.iter().any(|c| c.name.as_str() == channel) {
                    let near = nearest(channel, channels.iter().map(|c| c.name.as_str()))
                        .map(|near| format!("; did you mean {near:?}?"))
                        .unwrap_or_default();
                    self.problem(format!("{at}: there is no channel {channel:?}{near}"));
                }
            }
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
                stop: route.stop,
            });
        }
        table
    }
}

fn condition(key: &str, value: toml::Value) -> Result<(route::Operand, route::Condition), String> {
    let is_pointer = key.starts_with('/');
    let operand = if is_pointer {
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
        toml::Value::Array(values) => route::Condition::OneOf(
            values
                .into_iter()
                .map(|value| match value {
                    toml::Value::String(text) => Ok(text),
                    other => Err(format!("{other} in the list is no text")),
                })
                .collect::<Result<_, _>>()?,
        ),
        toml::Value::Integer(number) if is_pointer => route::Condition::Json(number.into()),
        // JSON has no infinity and no NaN.
        toml::Value::Float(number) if is_pointer && number.is_finite() => {
            route::Condition::Json(number.into())
        }
        other => {
            return Err(format!(
                "a value of type {} cannot be matched: it takes a text, a list of texts, or true/false",
                other.type_str()
            ));
        }
    };
    Ok((operand, condition))
}
