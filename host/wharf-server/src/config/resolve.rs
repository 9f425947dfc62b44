//! From the file's shape to a checked [`Config`]: everything that is wrong is found in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use wharf_core::egress::UrlPattern;
use wharf_core::{ChannelName, MessageId, Pairs, limits, retry, route};

use super::bounds::{self, Bounds};
use super::file::{self, File, Mode, Schedule, Use, beside};
use super::nearest::nearest;
use super::value::{Secret, Setting};
use super::{Channel, Config, HookUse, Overrides, Plugin, PostEvent, Problems, files};

/// Reads and checks a configuration file. What it names outside of itself is checked apart, by
/// [`check_plugins`](super::check_plugins) and [`check_urls`](super::check_urls): a host starts without it.
pub fn load(path: &Path, overrides: Overrides) -> Result<Config, Problems> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Problems {
        origin: origin.clone(),
        problems: vec![format!("cannot be read: {e}; `wharf init DIR` makes one")],
    })?;
    let base = path.parent().unwrap_or(Path::new("."));
    let config = parse(&text, base, overrides).map_err(|problems| Problems { origin, problems })?;
    files::warn_of_idle_tables(&config);
    Ok(config)
}

/// Checks a configuration's text; paths in it are relative to `base`.
pub(super) fn parse(text: &str, base: &Path, overrides: Overrides) -> Result<Config, Vec<String>> {
    let mut file: File = toml::from_str(text).map_err(|e| vec![explain(&e, Some(text))])?;
    overrides.apply(&mut file);
    let mut resolver = Resolver {
        base,
        problems: Vec::new(),
    };
    let config = resolver.config(file);
    if resolver.problems.is_empty() {
        Ok(config)
    } else {
        Err(resolver.problems)
    }
}

/// The error with its place and key, and the nearest known key where one was not known. The source line, which
/// toml would show, stays out: it can hold a secret.
fn explain(error: &toml::de::Error, source: Option<&str>) -> String {
    let mut parts = Vec::new();
    if let (Some(source), Some(span)) = (source, error.span()) {
        let before = source.get(..span.start).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        parts.push(format!("line {line}, column {column}"));
    }
    parts.extend(key(error));
    parts.push(without_value(error.message()));
    let text = parts.join(": ");
    let mut quoted = error.message().split('`').skip(1).step_by(2);
    let near = quoted
        .next()
        .filter(|_| error.message().starts_with("unknown"))
        .and_then(|unknown| nearest(unknown, quoted));
    match near {
        Some(near) => format!("{text}; did you mean `{near}`?"),
        None => text,
    }
}

/// The error's key, with dots. Only its display tells it, and only where it has no source to show.
fn key(error: &toml::de::Error) -> Option<String> {
    let mut error = error.clone();
    error.set_input(None);
    let text = error.to_string();
    let shown = text.strip_prefix(error.message())?.trim();
    Some(shown.strip_prefix("in `")?.strip_suffix('`')?.to_owned())
}

/// serde's message for a text where something else was expected, without the text.
fn without_value(message: &str) -> String {
    ["invalid type: string ", "invalid value: string "]
        .iter()
        .filter(|begin| message.starts_with(**begin))
        .find_map(|begin| {
            let (_, expected) = message.rsplit_once(", expected ")?;
            Some(format!("{}, expected {expected}", begin.trim_end()))
        })
        .unwrap_or_else(|| message.trim_end().to_owned())
}

struct Resolver<'a> {
    base: &'a Path,
    problems: Vec<String>,
}

impl Resolver<'_> {
    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// The value, where there is one and it is within its bounds.
    fn within<T: PartialOrd>(
        &mut self,
        key: impl Display,
        value: Option<T>,
        bounds: &Bounds<T>,
    ) -> Option<T> {
        let value = value?;
        if bounds.hold(&value) {
            return Some(value);
        }
        self.problem(format!("{key} takes {bounds}"));
        None
    }

    fn config(&mut self, file: File) -> Config {
        let store_path = beside(self.base, &file.store.path);
        let (plain, plugins) = self.plugins(file.plugins);
        let plugin_cache_dir = match plain.cache_dir {
            Some(dir) => beside(self.base, &dir),
            None => store_path.with_file_name(".wharf-cache"),
        };
        let has_token = file.api.token.is_some();
        let token = file.api.token.and_then(|token| self.token(&token));
        let channels = self.channels(file.channels);
        Config {
            listen: self.listen(&file.api.listen, has_token),
            payload_bytes_max: self.payload_max(file.api.payload_max),
            token,
            drain_timeout: self
                .within(
                    "api.drain-timeout",
                    file.api.drain_timeout.map(|d| d.0),
                    &bounds::DRAIN_TIMEOUT,
                )
                .unwrap_or(Duration::from_secs(30)),
            allow_addresses: self.addresses(&file.egress.allow_addresses),
            plugin_dir: beside(self.base, &plain.dir.unwrap_or_else(|| "plugins".into())),
            plugin_cache_dir,
            instances_max: self.within(
                "plugins.instances-max",
                plain.instances_max,
                &bounds::INSTANCES_MAX,
            ),
            plugins,
            routes: self.routes(file.routes, &channels),
            channels,
            post_event: self.post_event(file.hooks.post_event),
            store_path,
        }
    }

    /// The token as it is compared with what a caller sends in a header.
    fn token(&mut self, token: &Secret) -> Option<String> {
        let text = token
            .resolve(self.base)
            .map_err(|why| self.problem(format!("api.token: {why}")))
            .ok()?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            self.problem("api.token: it is blank; leave it out for a loopback listener".into());
        } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.problem(
                "api.token: it takes ASCII without control characters, as a header does".into(),
            );
        }
        Some(text.to_owned())
    }

    fn listen(&mut self, listen: &str, has_token: bool) -> SocketAddr {
        let address = listen.parse().unwrap_or_else(|_| {
            self.problem(format!(
                "api.listen: {listen:?} is no address and port, such as \"127.0.0.1:8470\""
            ));
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        if !address.ip().is_loopback() && !has_token {
            self.problem(format!(
                "api.listen: {address} can be reached from outside: set api.token, or listen on 127.0.0.1"
            ));
        }
        address
    }

    fn payload_max(&mut self, size: Option<bytesize::ByteSize>) -> usize {
        let Some(size) = size else {
            return limits::PAYLOAD_BYTES_DEFAULT;
        };
        match usize::try_from(size.as_u64()) {
            Ok(bytes) if bytes <= limits::PAYLOAD_BYTES_HARD => bytes,
            _ => {
                self.problem(format!(
                    "api.payload-max: {size} is over the most that is possible, 16 MiB"
                ));
                limits::PAYLOAD_BYTES_DEFAULT
            }
        }
    }

    fn addresses(&mut self, texts: &[String]) -> Vec<ipnet::IpNet> {
        let mut nets = Vec::new();
        for text in texts {
            match text.parse::<ipnet::IpNet>() {
                Ok(net) => nets.push(net),
                Err(_) => self.problem(format!(
                    "egress.allow-addresses: {text:?} is no network, such as \"127.0.0.0/8\""
                )),
            }
        }
        nets
    }

    fn plugins(&mut self, table: toml::Table) -> (file::Plugins, Vec<Plugin>) {
        let (tables, plain): (Vec<_>, Vec<_>) =
            table.into_iter().partition(|(_, value)| value.is_table());
        let plain = file::Plugins::deserialize(toml::Table::from_iter(plain))
            .map_err(|e| self.problem(format!("plugins: {}", explain(&e, None))))
            .unwrap_or_default();
        let plugins = tables
            .into_iter()
            .map(|(name, value)| {
                let plugin = file::Plugin::deserialize(value)
                    .map_err(|e| self.problem(format!("plugins.{name}: {}", explain(&e, None))))
                    .unwrap_or_default();
                self.plugin(name, plugin)
            })
            .collect();
        (plain, plugins)
    }

    fn plugin(&mut self, name: String, plugin: file::Plugin) -> Plugin {
        let mut allow_http = Vec::new();
        for text in &plugin.allow_http {
            match UrlPattern::parse(text) {
                Ok(pattern) => allow_http.push(pattern),
                Err(e) => self.problem(format!("plugins.{name}.allow-http: {e}")),
            }
        }
        if let Some(digest) = &plugin.sha256
            && (digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            self.problem(format!(
                "plugins.{name}.sha256: {digest:?} is not 64 hex digits"
            ));
        }
        Plugin {
            timeout: self.within(
                format_args!("plugins.{name}.timeout"),
                plugin.timeout.map(|d| d.0),
                &bounds::PLUGIN_TIMEOUT,
            ),
            memory_bytes_max: self.within(
                format_args!("plugins.{name}.memory-max"),
                plugin.memory_max.map(|size| size.as_u64()),
                &bounds::MEMORY_BYTES,
            ),
            instances_max: self.within(
                format_args!("plugins.{name}.instances-max"),
                plugin.instances_max,
                &bounds::INSTANCES_MAX,
            ),
            name,
            allow_http,
            sha256: plugin.sha256.map(|digest| digest.to_ascii_lowercase()),
        }
    }

    fn channels(&mut self, channels: Vec<file::Channel>) -> Vec<Channel> {
        let mut names = BTreeSet::new();
        let mut resolved = Vec::new();
        if channels.len() > limits::DELIVERIES_COUNT_MAX {
            self.problem(format!(
                "channel: there are {}; a message can go to at most {}",
                channels.len(),
                limits::DELIVERIES_COUNT_MAX
            ));
        }
        for channel in channels {
            let at = format!("channel {:?}", channel.name);
            if MessageId::parse(&channel.name).is_err() {
                self.problem(format!("{at}: its name takes 1 to 64 of A-Z a-z 0-9 _ -"));
            }
            if !names.insert(channel.name.clone()) {
                self.problem(format!("{at}: there are two of this name"));
            }
            resolved.push(Channel {
                name: ChannelName::new(&channel.name),
                send: HookUse {
                    plugin: channel.plugin,
                    settings: self.settings(&format!("{at}: config"), &channel.config),
                },
                enrich: self.uses(&format!("{at}: enrich"), channel.enrich),
                convert: self.uses(&format!("{at}: convert"), channel.convert),
                parallelism: self
                    .within(
                        format_args!("{at}: parallelism"),
                        channel.parallelism,
                        &bounds::PARALLELISM,
                    )
                    .unwrap_or(64),
                timeout: self
                    .within(
                        format_args!("{at}: timeout"),
                        channel.timeout.map(|d| d.0),
                        &bounds::CHANNEL_TIMEOUT,
                    )
                    .unwrap_or(Duration::from_secs(30)),
                retry: self.retry(&at, channel.retry),
            });
        }
        resolved
    }

    fn uses(&mut self, at: &str, uses: Vec<Use>) -> Vec<HookUse> {
        uses.into_iter()
            .map(|hook| self.hook_use(at, hook).1)
            .collect()
    }

    /// The name that it is kept under, and the use.
    fn hook_use(&mut self, at: &str, hook: Use) -> (String, HookUse) {
        match hook {
            Use::Plain(plugin) => (
                plugin.clone(),
                HookUse {
                    plugin,
                    settings: Vec::new(),
                },
            ),
            Use::Full(full) => {
                let settings =
                    self.settings(&format!("{at} {:?}: config", full.plugin), &full.config);
                let name = full.name.unwrap_or_else(|| full.plugin.clone());
                (
                    name,
                    HookUse {
                        plugin: full.plugin,
                        settings,
                    },
                )
            }
        }
    }

    fn post_event(&mut self, uses: Vec<Use>) -> Vec<PostEvent> {
        let mut names = BTreeSet::new();
        let mut resolved = Vec::new();
        for hook in uses {
            let (name, hook) = self.hook_use("hooks.post-event", hook);
            if !names.insert(name.clone()) {
                self.problem(format!(
                    "hooks.post-event: two are named {name:?}; give one a `name`"
                ));
            }
            resolved.push(PostEvent { name, hook });
        }
        resolved
    }

    fn settings(&mut self, at: &str, settings: &BTreeMap<String, Setting>) -> Pairs {
        let mut pairs = Vec::with_capacity(settings.len());
        for (key, setting) in settings {
            match setting.resolve(self.base) {
                Ok(text) => pairs.push((key.clone(), text)),
                Err(why) => self.problem(format!("{at}.{key}: {why}")),
            }
        }
        pairs
    }

    fn retry(&mut self, at: &str, file: file::Retry) -> retry::Policy {
        let default = retry::Policy::default();
        let has_growth = file.base.is_some() || file.factor.is_some() || file.max.is_some();
        if file.schedule.is_some() && has_growth {
            self.problem(format!(
                "{at}: retry.schedule excludes base, factor and max"
            ));
        }
        let mut wait = |key: &str, wait: Option<Duration>, default: u64| {
            self.within(format_args!("{at}: retry.{key}"), wait, &bounds::RETRY_WAIT)
                .unwrap_or(Duration::from_secs(default))
        };
        let base = wait("base", file.base.map(|d| d.0), 1);
        let max = wait("max", file.max.map(|d| d.0), 3600);
        let mut policy = match file.schedule {
            Some(Schedule::Preset(name)) => retry::Policy::preset(&name).unwrap_or_else(|| {
                self.problem(format!(
                    "{at}: retry.schedule: there is no preset {name:?}; there are {}",
                    retry::Policy::PRESETS.join(", ")
                ));
                default.clone()
            }),
            Some(Schedule::Waits(waits)) => {
                let waits: Vec<_> = waits.iter().map(|wait| wait.0).collect();
                self.within(
                    format_args!("{at}: retry.schedule: a wait"),
                    waits.iter().max().copied(),
                    &bounds::SCHEDULE_WAIT,
                );
                retry::Policy {
                    schedule: retry::Schedule::Explicit(waits),
                    attempts_max: None,
                    ..default
                }
            }
            None => retry::Policy {
                schedule: retry::Schedule::Exponential {
                    base,
                    factor: file.factor.unwrap_or(2.0),
                    max,
                },
                ..default
            },
        };
        if file
            .factor
            .is_some_and(|factor| !(1.0..=1000.0).contains(&factor))
        {
            self.problem(format!("{at}: retry.factor takes 1 to 1000"));
        }
        if let Some(jitter) = file.jitter {
            if !(0.0..=1.0).contains(&jitter) {
                self.problem(format!("{at}: retry.jitter takes 0 to 1"));
            }
            policy.jitter = jitter;
        }
        if file.attempts == Some(0) {
            self.problem(format!("{at}: retry.attempts is 0; it takes at least 1"));
        }
        policy.attempts_max = file.attempts.or(policy.attempts_max);
        policy.age_max = self.within(
            format_args!("{at}: retry.max-age"),
            file.max_age.map(|d| d.0),
            &bounds::RETRY_WAIT,
        );
        policy
    }

    fn routes(&mut self, routes: Vec<file::Route>, channels: &[Channel]) -> route::Table {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let problems = match parse(text, Path::new("."), Overrides::default()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        };
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(
                problem.contains(expected),
                "{problem:?} has no {expected:?}"
            );
        }
    }

    #[test]
    fn an_empty_file_is_a_configuration() {
        check("", &[]);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_one() {
        check("[api]\nlisen = 'x'", &["did you mean `listen`"]);
        check("[plugins]\ndri = 'x'", &["plugins: unknown field `dri`"]);
        check(
            "[plugins.http]\nallow-htp = []",
            &["did you mean `allow-http`"],
        );
        check(
            "[[channel]]\nname = 'a'\nplugin = 'http'\nurl = 'x'",
            &["unknown field `url`"],
        );
    }

    #[test]
    fn every_problem_is_found_at_once_and_names_its_key() {
        check(
            r#"
            [api]
            listen = "0.0.0.0:1"
            payload-max = "1GiB"
            [egress]
            allow-addresses = ["everything"]
            [plugins.http]
            allow-http = ["example.com"]
            sha256 = "abc"
            [[channel]]
            name = "a b"
            plugin = "http"
            parallelism = 0
            config = { secret = { env = "WHARF_TEST_NOT_SET" } }
            retry = { schedule = "never", jitter = 2.0 }
            [[route]]
            match = { n = 1 }
            channels = ["partner"]
            "#,
            &[
                "plugins.http.allow-http",
                "plugins.http.sha256",
                "channel \"a b\": its name",
                "channel \"a b\": config.secret: the environment variable WHARF_TEST_NOT_SET",
                "channel \"a b\": parallelism",
                "retry.schedule: there is no preset",
                "retry.jitter",
                "api.listen: 0.0.0.0:1 can be reached",
                "api.payload-max",
                "egress.allow-addresses",
                "route \"route-1\": there is no channel \"partner\"",
                "route \"route-1\": match.n: a value of type integer",
            ],
        );
    }

    #[test]
    fn every_number_and_span_has_bounds_that_its_problem_names() {
        check(
            r#"
            [api]
            drain-timeout = "25h"
            [plugins]
            instances-max = 0
            [plugins.http]
            timeout = "61m"
            memory-max = "2GiB"
            instances-max = 0
            [plugins.stamp]
            timeout = "0s"
            memory-max = "63KiB"
            [[channel]]
            name = "a"
            plugin = "http"
            timeout = "9223372036854775807s"
            parallelism = 100001
            retry = { base = "0s", max = "721h", max-age = "9223372036854775807s" }
            [[channel]]
            name = "b"
            plugin = "http"
            timeout = "0s"
            retry = { schedule = ["0s", "721h"] }
            [[route]]
            match = { "/n" = nan }
            channels = ["a"]
            "#,
            &[
                "plugins.http.timeout takes more than 0s and at most 1h",
                "plugins.http.memory-max takes 64KiB to 1GiB",
                "plugins.http.instances-max takes 1 to",
                "plugins.stamp.timeout",
                "plugins.stamp.memory-max",
                "channel \"a\": parallelism takes 1 to 100000",
                "channel \"a\": timeout takes more than 0s and at most 24h",
                "channel \"a\": retry.base takes more than 0s",
                "channel \"a\": retry.max takes",
                "channel \"a\": retry.max-age takes",
                "channel \"b\": timeout",
                "channel \"b\": retry.schedule: a wait takes 0s to 720h",
                "api.drain-timeout takes 0s to 24h",
                "plugins.instances-max takes 1 to",
                "route \"route-1\": match./n",
            ],
        );
        check(
            r#"
            [api]
            drain-timeout = "0s"
            [plugins.http]
            timeout = "1h"
            memory-max = "1GiB"
            [plugins.stamp]
            memory-max = "64KiB"
            [[channel]]
            name = "a"
            plugin = "http"
            timeout = "24h"
            parallelism = 100000
            retry = { schedule = ["0s", "720h"], max-age = "720h" }
            "#,
            &[],
        );
    }

    #[test]
    fn no_problem_shows_a_value_that_may_be_secret() {
        for (text, place) in [
            (
                "[api]\ntokn = 's3cret'",
                "line 2, column 1: api: unknown field `tokn`",
            ),
            ("[api]\ntoken = 's3cret", "line 2, column "),
            (
                "[api]\n  token = { evn = 's3cret' }",
                "line 2, column 11: api.token: expected",
            ),
            (
                "api = 's3cret'",
                "line 1, column 7: api: invalid type: string, expected",
            ),
            (
                "[[channel]]\nname = 'a'\nconfig = 's3, expected cret'",
                "invalid type: string, expected a map",
            ),
            (
                "[plugins.http]\ninstances-max = 's3cret'",
                "plugins.http: instances-max: invalid type",
            ),
        ] {
            let problems = parse(text, Path::new("."), Overrides::default()).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:#?}");
            assert!(problems[0].contains(place), "{problems:#?}");
            assert!(!problems[0].contains("cret"), "{problems:#?}");
        }
    }

    #[test]
    fn a_token_is_cut_to_what_a_header_can_carry() {
        let token = |text: &str| {
            let overrides = Overrides {
                token: Some(text.to_owned()),
                ..Overrides::default()
            };
            parse("", Path::new("."), overrides).map(|config| config.token.unwrap())
        };
        assert_eq!(token(" s3cret\r\n\n").unwrap(), "s3cret");
        for bad in ["", " \n", "schlüssel", "a\nb", "a\tb", "a\0", "\u{a0}"] {
            let problems = token(bad).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:#?}");
            assert!(problems[0].starts_with("api.token: it "), "{problems:#?}");
        }
    }

    #[test]
    fn there_are_no_more_channels_than_a_message_has_deliveries() {
        let channels = |count: usize| {
            (0..count)
                .map(|n| format!("[[channel]]\nname = 'c{n}'\nplugin = 'http'\n"))
                .collect::<String>()
        };
        check(&channels(limits::DELIVERIES_COUNT_MAX), &[]);
        check(
            &channels(limits::DELIVERIES_COUNT_MAX + 1),
            &["a message can go to at most"],
        );
    }

    #[test]
    fn settings_that_are_not_text_become_json() {
        let config = parse(
            "[[channel]]\nname='a'\nplugin='http'\nconfig={url='u',reject-on=[400],map={a='/b'}}",
            Path::new("."),
            Overrides::default(),
        )
        .unwrap();
        let settings = &config.channels[0].send.settings;
        let expected = [
            ("map", r#"{"a":"/b"}"#),
            ("reject-on", "[400]"),
            ("url", "u"),
        ];
        assert_eq!(
            settings
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
    }
}
