//! Builds the shipped components of `/plugins` and hands them to `src/components.rs`.
//!
//! The plugins are a workspace of their own, for another target and with another lock file, so a
//! second cargo runs inside this one. It gets the jobserver and the network and registry settings
//! of the outer cargo, and nothing else of its environment: flags and profiles meant for the host
//! must not reach the guests.
//!
//! The drawback: the first build of `wharf`, and each one after a change to a plugin or to the
//! contract, takes some seconds longer. In return the binary and its components can never be of
//! different versions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folders of `/plugins` that ship, sorted. One that is not listed here fails the build.
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

/// The folders of `/plugins` that components are made with, and that are none themselves.
const LIBRARIES: [&str; 1] = ["common"];

const TARGET: &str = "wasm32-wasip2";

/// What of cargo's environment the inner cargo may see. Everything else that starts with `CARGO_`
/// is either about the package being built or a build setting for the host.
const CARGO_VARIABLES_KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// Set by the outer cargo for this script, or by a user for the host. `RUSTC_WORKSPACE_WRAPPER` is
/// how clippy and coverage tools get in.
const OTHER_VARIABLES_DROPPED: [&str; 10] = [
    "DEBUG",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

fn main() {
    if let Err(problem) = run() {
        println!("cargo::error={problem}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..");
    let plugins = root.join("plugins");
    watch(&root, &plugins);
    every_folder_is_listed(&plugins)?;
    the_target_is_installed()?;
    build(&plugins)?;
    embed(&plugins.join("target").join(TARGET).join("release"))
}

fn watch(root: &Path, plugins: &Path) {
    let watch = |path: PathBuf| println!("cargo::rerun-if-changed={}", path.display());
    watch(root.join("wit"));
    for name in [".cargo", "Cargo.toml", "Cargo.lock"] {
        watch(plugins.join(name));
    }
    for name in SHIPPED.iter().chain(&LIBRARIES) {
        watch(plugins.join(name));
    }
}

fn every_folder_is_listed(plugins: &Path) -> Result<(), String> {
    let unreadable = |error| format!("failed to read {}: {error}", plugins.display());
    for entry in fs::read_dir(plugins).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let mut folders = SHIPPED.iter().chain(&LIBRARIES);
        let listed = folders.any(|folder| name == **folder);
        if !listed && entry.path().join("Cargo.toml").exists() {
            return Err(format!(
                "plugins/{} is not listed: add it to SHIPPED in host/wharf/build.rs, or to LIBRARIES \
                 there if it is no component, or move it",
                name.display()
            ));
        }
    }
    Ok(())
}

fn the_target_is_installed() -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("failed to run rustc: {error}"))?;
    let libdir = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(libdir.trim()).exists() {
        return Ok(());
    }
    Err(format!(
        "the Rust target {TARGET}, which the shipped plugins are built for, is not installed: run \
         `rustup target add {TARGET}` or `cargo xtask plugins`"
    ))
}

fn build(plugins: &Path) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    // From inside the folder, so that its `.cargo/config.toml` counts.
    cargo
        .current_dir(plugins)
        .args(["build", "--release", "--locked", "--target", TARGET]);
    cargo.args(["--manifest-path", "Cargo.toml", "--target-dir", "target"]);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_the_hosts) {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .status()
        .map_err(|error| format!("failed to run cargo: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(
            "the shipped plugins do not build: see below, or run `cargo build --release \
                      --locked --target wasm32-wasip2` in plugins/"
                .to_owned(),
        ),
    }
}

fn is_the_hosts(variable: &str) -> bool {
    let kept = CARGO_VARIABLES_KEPT
        .iter()
        .any(|prefix| variable.starts_with(prefix));
    OTHER_VARIABLES_DROPPED.contains(&variable) || variable.starts_with("CARGO_") && !kept
}

/// Copies each component under the name that users see, and writes the list that
/// `src/components.rs` includes.
fn embed(built: &Path) -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let mut list = "&[\n".to_owned();
    for name in SHIPPED {
        let from = built.join(format!("{}.wasm", name.replace('-', "_")));
        let to = out.join(format!("{name}.wasm"));
        fs::copy(&from, &to)
            .map_err(|error| format!("failed to copy {}: {error}", from.display()))?;
        list += &format!("    (\"{name}.wasm\", include_bytes!({to:?})),\n");
    }
    list += "]\n";
    let path = out.join("shipped.rs");
    fs::write(&path, list).map_err(|error| format!("failed to write {}: {error}", path.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo did not set {name}: {error}"))
}
