//! `wharf config check`

use serde_json::json;
use wharf_server::config::{self, Overrides};

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
    match config::load(&arguments.config.config, overrides) {
        Ok(config) if arguments.json => output::json(&json!({
            "ok": true,
            "channels": config.channels.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            "routes": config.routes.routes.iter().map(|r| &*r.name).collect::<Vec<_>>(),
        })),
        Ok(config) => output::text(&format!(
            "{}: fine: {} channels, {} routes, listens on {}",
            arguments.config.config.display(),
            config.channels.len(),
            config.routes.routes.len(),
            config.listen
        )),
        Err(problems) => {
            if arguments.json {
                output::json(&json!({ "ok": false, "problems": problems.problems }))?;
            }
            Err(Failure::failed(problems))
        }
    }
}
