//! From the file's shape to a checked [`Config`]: everything that is wrong is found in one go.

mod api;
mod channel;
mod egress;
mod folder;
mod hook;
mod plugin;
mod route;
mod store;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bounds::{self, Bounds};
use super::file::{File, beside};
use super::nearest::nearest;
use super::{Config, Overrides, Problems, files};

/// Reads and checks a configuration file. What it names outside of itself is checked apart, by
/// [`check_plugins`](super::check_plugins) and [`check_urls`](super::check_urls): a host starts without it.
pub fn load(path: &Path, overrides: Overrides) -> Result<Config, Problems> {
    read(path, overrides, None)
}

/// The same, as if `routes` stood in the file of routes.
pub(super) fn load_with_routes(
    path: &Path,
    overrides: Overrides,
    routes: &str,
) -> Result<Config, Problems> {
    read(path, overrides, Some(routes))
}

fn read(path: &Path, overrides: Overrides, routes: Option<&str>) -> Result<Config, Problems> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Problems {
        origin: origin.clone(),
        problems: vec![format!("cannot be read: {e}; `wharf init DIR` makes one")],
    })?;
    let base = path.parent().unwrap_or(Path::new("."));
    let config = check(&text, base, overrides, routes);
    let config = config.map_err(|problems| Problems { origin, problems })?;
    files::warn_of_idle_tables(&config);
    Ok(config)
}

/// Checks a configuration's text; paths in it are relative to `base`.
#[cfg(test)]
pub(super) fn parse(text: &str, base: &Path, overrides: Overrides) -> Result<Config, Vec<String>> {
    check(text, base, overrides, None)
}

fn check(
    text: &str,
    base: &Path,
    overrides: Overrides,
    routes: Option<&str>,
) -> Result<Config, Vec<String>> {
    let mut file: File = toml::from_str(text).map_err(|e| vec![explain(&e, Some(text))])?;
    let problems = overrides.apply(&mut file);
    let mut resolver = Resolver { base, problems };
    let routes_file = resolver.take_routes(&mut file, routes);
    let config = resolver.config(file, routes_file);
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

    fn config(&mut self, file: File, routes_file: Option<PathBuf>) -> Config {
        let store_path = beside(self.base, &file.store.path);
        let (plain, plugins) = self.plugins(file.plugins);
        let plugin_cache_dir = match plain.cache_dir {
            Some(dir) => beside(self.base, &dir),
            None => store_path.with_file_name(".wharf-cache"),
        };
        let marks = self.marks(&file.store);
        let retention = self.retention(&file.store);
        let has_token = file.api.token.is_some();
        let tokens = self.tokens(file.api.token);
        let channels = self.channels(file.channels);
        let has_routes = !file.routes.is_empty();
        let router = self.router(file.hooks.router, has_routes, &plugins);
        let config = Config {
            listen: self.listen(&file.api.listen, has_token),
            payload_bytes_max: self.payload_max(file.api.payload_max),
            tokens,
            require_idempotency: file.api.require_idempotency,
            api_threads: self
                .within("api.threads", file.api.threads, &bounds::API_THREADS)
                .unwrap_or_else(api_threads),
            drain_timeout: self
                .within(
                    "api.drain-timeout",
                    file.api.drain_timeout.map(|d| d.0),
                    &bounds::DRAIN_TIMEOUT,
                )
                .unwrap_or(Duration::from_secs(30)),
            allow_addresses: self.addresses(&file.egress.allow_addresses),
            tls: self.tls(&file.egress),
            plugin_dir: beside(self.base, &plain.dir.unwrap_or_else(|| "plugins".into())),
            plugin_cache_dir,
            instances_max: self.within(
                "plugins.instances-max",
                plain.instances_max,
                &bounds::INSTANCES_MAX,
            ),
            compile_timeout: self.within(
                "plugins.compile-timeout",
                plain.compile_timeout.map(|d| d.0),
                &bounds::COMPILE_TIMEOUT,
            ),
            compile_memory_bytes_max: self.within(
                "plugins.compile-memory-max",
                plain.compile_memory_max.map(|size| size.as_u64()),
                &bounds::COMPILE_MEMORY_BYTES,
            ),
            plugins,
            routes: self.routes(file.routes, &channels),
            routes_file,
            channels,
            router,
            post_event: self.post_event(file.hooks.post_event),
            store_path,
            marks,
            retention,
        };
        self.check_folders(&config);
        config
    }
}

/// One for every four processors: accepting a message is about a quarter of the work that it makes.
fn api_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(4))
}

#[cfg(test)]
mod tests;
