//! What has changed between two configurations, for people.

use wharf_api::ReloadView;

use crate::config::Config;

/// What is taken over of `new`, and what takes a restart.
pub(super) fn difference(old: &Config, new: &Config) -> ReloadView {
    let channel = |config: &Config, name: &str| {
        let mut channels = config.channels.iter();
        channels
            .find(|channel| channel.name.as_str() == name)
            .cloned()
    };
    let mut changed = Vec::new();
    for one in &new.channels {
        match channel(old, one.name.as_str()) {
            None => changed.push(format!("channel {} added", one.name)),
            Some(before) if before != *one => changed.push(format!("channel {} changed", one.name)),
            Some(_) => {}
        }
    }
    for one in &old.channels {
        if channel(new, one.name.as_str()).is_none() {
            changed.push(format!("channel {} removed", one.name));
        }
    }
    if old.routes != new.routes {
        let count = |config: &Config| config.routes.routes.len();
        changed.push(format!("routes: {} instead of {}", count(new), count(old)));
    }
    ReloadView {
        changed,
        restart_needed: restart_needed(old, new)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    }
}

/// Keys that differ and are read at a start alone. What certificates and files of tokens hold is not compared.
fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let keys = [
        ("store.path", old.store_path != new.store_path),
        ("store.accept-free", old.marks.accept != new.marks.accept),
        (
            "store.dispatch-free",
            old.marks.dispatch != new.marks.dispatch,
        ),
        ("store: what is kept", old.retention != new.retention),
        ("api.listen", old.listen != new.listen),
        ("api.token", old.tokens != new.tokens),
        (
            "api.require-idempotency",
            old.require_idempotency != new.require_idempotency,
        ),
        (
            "api.payload-max",
            old.payload_bytes_max != new.payload_bytes_max,
        ),
        ("api.drain-timeout", old.drain_timeout != new.drain_timeout),
        ("api.threads", old.api_threads != new.api_threads),
        ("api.routes-file", old.routes_file != new.routes_file),
        (
            "egress.allow-addresses",
            old.allow_addresses != new.allow_addresses,
        ),
        ("plugins.dir", old.plugin_dir != new.plugin_dir),
        (
            "plugins.cache-dir",
            old.plugin_cache_dir != new.plugin_cache_dir,
        ),
        (
            "plugins.instances-max",
            old.instances_max != new.instances_max,
        ),
        (
            "plugins.compile-timeout",
            old.compile_timeout != new.compile_timeout,
        ),
        (
            "plugins.compile-memory-max",
            old.compile_memory_bytes_max != new.compile_memory_bytes_max,
        ),
        ("plugins: grants and limits", old.plugins != new.plugins),
        ("hooks.post-event", old.post_event != new.post_event),
    ];
    keys.into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key)
        .collect()
}
