//! `wharf config check`

use std::path::Path;

use serde_json::json;
use wharf_server::config::{self, Config, Overrides, Problems};

use crate::arguments::ConfigCheck;
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
