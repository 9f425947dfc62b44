//! Builds the shipped components of `/plugins` and hands them to `src/components.rs`.
//!
//! The drawback: the first build of `wharf`, and each one after a change to a plugin or to the contract, takes some
//! seconds longer. In return the binary and its components can never be of different versions.

#[path = "../components.rs"]
mod components;

use std::fs;
use std::path::PathBuf;

use components::{Components, variable};

/// The folders of `/plugins` that ship, sorted.
const SHIPPED: [&str; 9] = [
    "audit",
    "cloudevents",
    "envelope-http",
    "file",
    "http",
    "json-map",
    "msgpack-envelope",
    "stamp",
    "template",
];

const PLUGINS: Components<'static> = Components {
    folder: "plugins",
    names: &SHIPPED,
    libraries: &["common"],
    list: "SHIPPED in host/wharf/build.rs, or to the libraries there if it is no component",
};

fn main() {
    if let Err(problem) = embed() {
        println!("cargo::error={problem}");
        std::process::exit(1);
    }
}

/// Writes the list that `src/components.rs` includes.
fn embed() -> Result<(), String> {
    let built = PLUGINS.build()?;
    let mut list = "&[\n".to_owned();
    for name in SHIPPED {
        let file = built.join(format!("{name}.wasm"));
        list += &format!("    (\"{name}.wasm\", include_bytes!({file:?})),\n");
    }
    list += "]\n";
    let path = PathBuf::from(variable("OUT_DIR")?).join("shipped.rs");
    fs::write(&path, list).map_err(|error| format!("failed to write {}: {error}", path.display()))
}
