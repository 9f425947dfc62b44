//! `wharf init`: a folder to start from.

use std::fs;
use std::path::Path;

use crate::arguments::Init;
use crate::components::SHIPPED;
use crate::failure::Failure;
use crate::output;

const CONFIG: &str = include_str!("../../assets/wharf.toml");

pub(crate) fn run(arguments: &Init) -> Result<(), Failure> {
    let dir = &arguments.dir;
    let config = dir.join("wharf.toml");
    if config.exists() {
        return Err(
            Failure::failed(anyhow::anyhow!("{} is there already", config.display()))
                .hint("choose another folder, or remove the file first"),
        );
    }
    let plugins = dir.join("plugins");
    fs::create_dir_all(&plugins).map_err(|e| cannot_write(&plugins, e))?;
    for (name, bytes) in SHIPPED {
        let file = plugins.join(name);
        if !file.exists() {
            fs::write(&file, bytes).map_err(|e| cannot_write(&file, e))?;
        }
    }
    fs::write(&config, CONFIG).map_err(|e| cannot_write(&config, e))?;
    output::text(&format!(
        "made {}\n\nnext:\n  cd {}\n  wharf serve",
        config.display(),
        dir.display()
    ))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Failure {
    Failure::failed(anyhow::Error::new(error).context(format!("cannot write {}", path.display())))
}
