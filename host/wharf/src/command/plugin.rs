//! `wharf plugin`

use crate::arguments::PluginList;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &PluginList) -> Result<(), Failure> {
    let view = client(&arguments.host).plugins()?;
    if arguments.json {
        return output::json(&view);
    }
    let rows: Vec<Vec<String>> = view
        .plugins
        .iter()
        .map(|plugin| {
            vec![
                plugin.name.clone(),
                plugin.version.clone().unwrap_or_else(|| "-".to_owned()),
                plugin.hooks.join(","),
                format!("{} KiB", plugin.size_bytes.div_ceil(1024)),
                plugin.digest.chars().take(12).collect(),
                plugin.summary.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output::text(&output::table(
        &["NAME", "VERSION", "HOOKS", "SIZE", "DIGEST", ""],
        &rows,
    ))?;
    for refused in &view.refused {
        output::text(&format!("refused: {}: {}", refused.file, refused.reason))?;
    }
    Ok(())
}
