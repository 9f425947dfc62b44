//! `[plugins]`.

use serde::Deserialize;
use wharf_core::egress::UrlPattern;
use wharf_core::grant::HttpGrant;

use super::super::{Plugin, bounds, file};
use super::{Resolver, explain};

impl Resolver<'_> {
    pub(super) fn plugins(&mut self, table: toml::Table) -> (file::Plugins, Vec<Plugin>) {
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
        let http = self.http(&name, plugin.allow_http, plugin.allow_http_methods);
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
            http_calls_max: self.within(
                format_args!("plugins.{name}.http-calls-max"),
                plugin.http_calls_max,
                &bounds::HTTP_CALLS_MAX,
            ),
            output_bytes_max: self.within(
                format_args!("plugins.{name}.output-max"),
                plugin.output_max.map(|size| size.as_u64()),
                &bounds::OUTPUT_BYTES,
            ),
            log_lines_per_second: self.within(
                format_args!("plugins.{name}.log-lines-per-second"),
                plugin.log_lines_per_second,
                &bounds::LOG_LINES_PER_SECOND,
            ),
            folders: self.folders(&name, plugin.folders),
            http,
            sha256: plugin.sha256.map(|digest| digest.to_ascii_lowercase()),
            name,
        }
    }

    fn http(&mut self, name: &str, urls: Vec<String>, methods: Option<Vec<String>>) -> HttpGrant {
        let mut grant = HttpGrant {
            urls: Vec::new(),
            methods,
        };
        for text in &urls {
            match UrlPattern::parse(text) {
                Ok(pattern) => grant.urls.push(pattern),
                Err(e) => self.problem(format!("plugins.{name}.allow-http: {e}")),
            }
        }
        for method in grant.methods.iter().flatten() {
            let is_plain = method
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
            if method.is_empty() || !is_plain {
                self.problem(format!(
                    "plugins.{name}.allow-http-methods: {method:?} is no method in upper case, such as \"POST\""
                ));
            }
        }
        grant
    }
}
