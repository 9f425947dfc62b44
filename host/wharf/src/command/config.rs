//! `wharf config`

use std::path::Path;

use serde_json::json;
use wharf_api::ReloadView;
use wharf_server::config::{self, Config, Overrides, Problems};

use crate::arguments::{ConfigCheck, ConfigReload};
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn check(arguments: ConfigCheck) -> Result<(), Failure> {
    let overrides = Overrides {
        store_path: arguments.config.store,
        listen: arguments.config.listen,
        token: std::env::var("WHARF_API_TOKEN").ok(),
        plugin_dir: arguments.config.plugins,
    };
    let path = &arguments.config.config;
    match config::load(path, overrides).and_then(|config| usable(path, config)) {
        Ok(config) if arguments.json => output::json(&json!({
            "ok": true,
            "channels": config.channels.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            "routes": config.routes.routes.iter().map(|r| &*r.name).collect::<Vec<_>>(),
        })),
        Ok(config) => output::text(&format!(
            "{}: fine: {} channels, {} routes, listens on {}",
            path.display(),
            config.channels.len(),
            config.routes.routes.len(),
            config.listen
        )),
        Err(problems) => {
            if arguments.json {
                output::json(&json!({ "ok": false, "problems": problems.problems }))?;
            }
            Err(Failure::failed(problems)
                .hint("correct each one, then run `wharf config check` again"))
        }
    }
}

pub(crate) fn reload(arguments: &ConfigReload) -> Result<(), Failure> {
    let view = client(&arguments.host).reload()?;
    tell(&view, arguments.json)
}

/// What a change came to.
pub(super) fn tell(view: &ReloadView, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(view);
    }
    if view.changed.is_empty() {
        output::text("nothing of it changes while the host runs")?;
    } else {
        output::text(&view.changed.join("\n"))?;
    }
    if !view.restart_needed.is_empty() {
        eprintln!(
            "these have changed too, and take a restart: {}",
            view.restart_needed.join(", ")
        );
    }
    Ok(())
}

/// The configuration, where everything that it names can be used too. A start does not ask for that.
fn usable(path: &Path, config: Config) -> Result<Config, Problems> {
    let mut problems = config::check_urls(&config);
    problems.extend(config::check_plugins(&config));
    if problems.is_empty() {
        return Ok(config);
    }
    Err(Problems {
        origin: path.display().to_string(),
        problems,
    })
}
