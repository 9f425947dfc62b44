//! What the build scripts of `wharf` and `wharf-testkit` share: each builds a workspace of WebAssembly components.
//!
//! Such a workspace is for another target and has its own lock file, so a second cargo runs inside the one that runs the
//! script. It gets the jobserver and the network and registry settings of the outer cargo, and nothing else of its
//! environment: flags and profiles meant for the host must not reach the guests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

/// What of cargo's environment the inner cargo may see. Everything else that starts with `CARGO_` is either about the
/// package being built or a build setting for the host.
const CARGO_VARIABLES_KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// Set by the outer cargo for a script, or by a user for the host. `RUSTC_WORKSPACE_WRAPPER` is how clippy and coverage
/// tools get in.
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

/// A workspace of components.
pub(crate) struct Components<'a> {
    /// Its folder, from the repository's root.
    pub(crate) folder: &'a str,
    /// The packages that are components, each in a folder of its name.
    pub(crate) names: &'a [&'a str],
    /// The folders that components are made with, and that are none themselves.
    pub(crate) libraries: &'a [&'a str],
    /// The constant that lists them, for who adds one.
    pub(crate) list: &'a str,
}

impl Components<'_> {
    /// Builds all of them, and puts each under the name that people see into a folder of the script's own, which it
    /// returns. A folder that is not listed fails the build: none is left out by accident.
    pub(crate) fn build(&self) -> Result<PathBuf, String> {
        let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..");
        let workspace = root.join(self.folder);
        self.watch(&root, &workspace);
        self.check_listed(&workspace)?;
        self.check_target()?;
        self.run(&workspace)?;
        let built = workspace.join("target").join(TARGET).join("release");
        let out = PathBuf::from(variable("OUT_DIR")?).join("components");
        let failed = |path: &Path, error| format!("failed to write {}: {error}", path.display());
        fs::create_dir_all(&out).map_err(|error| failed(&out, error))?;
        for name in self.names {
            let from = built.join(format!("{}.wasm", name.replace('-', "_")));
            let to = out.join(format!("{name}.wasm"));
            fs::copy(&from, &to).map_err(|error| failed(&to, error))?;
        }
        Ok(out)
    }

    fn folders(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain(self.libraries).copied()
    }

    /// Not the whole workspace, which holds its own target directory.
    fn watch(&self, root: &Path, workspace: &Path) {
        let watch = |path: PathBuf| println!("cargo::rerun-if-changed={}", path.display());
        watch(PathBuf::from("build.rs"));
        watch(PathBuf::from("../components.rs"));
        watch(root.join("wit"));
        for name in [".cargo", "Cargo.toml", "Cargo.lock"] {
            let path = workspace.join(name);
            // What is not there counts as changed, always.
            if path.exists() {
                watch(path);
            }
        }
        for name in self.folders() {
            watch(workspace.join(name));
        }
    }

    fn check_listed(&self, workspace: &Path) -> Result<(), String> {
        let (folder, list) = (self.folder, self.list);
        let unreadable = |error| format!("failed to read {}: {error}", workspace.display());
        for entry in fs::read_dir(workspace).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let is_listed = self.folders().any(|listed| name == *listed);
            if !is_listed && entry.path().join("Cargo.toml").exists() {
                let name = name.display();
                return Err(format!(
                    "{folder}/{name} is not listed: add it to {list}, or move it"
                ));
            }
        }
        let is_there = |name: &&str| workspace.join(name).join("Cargo.toml").exists();
        match self.folders().find(|name| !is_there(name)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "{folder}/{name} is not there: take it out of {list}"
            )),
        }
    }

    fn check_target(&self) -> Result<(), String> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .args(["--print", "target-libdir", "--target", TARGET])
            .output()
            .map_err(|error| format!("failed to run rustc: {error}"))?;
        let libdir = String::from_utf8_lossy(&output.stdout);
        if output.status.success() && Path::new(libdir.trim()).is_dir() {
            return Ok(());
        }
        Err(format!(
            "the Rust target {TARGET}, which {} is built for, is not installed: run `rustup target add {TARGET}` or \
             `cargo xtask plugins`",
            self.folder
        ))
    }

    fn run(&self, workspace: &Path) -> Result<(), String> {
        let mut cargo = Command::new(variable("CARGO")?);
        // From inside the folder, so that its `.cargo/config.toml` counts.
        cargo
            .current_dir(workspace)
            .args(["build", "--release", "--locked", "--target", TARGET])
            .args(["--manifest-path", "Cargo.toml", "--target-dir", "target"]);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_the_hosts) {
                cargo.env_remove(name);
            }
        }
        let status = cargo
            .status()
            .map_err(|error| format!("failed to run cargo: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!(
            "{folder} does not build: see below, or run `cargo build --release --locked --target {TARGET}` in {folder}/",
            folder = self.folder
        ))
    }
}

fn is_the_hosts(variable: &str) -> bool {
    let kept = CARGO_VARIABLES_KEPT
        .iter()
        .any(|prefix| variable.starts_with(prefix));
    OTHER_VARIABLES_DROPPED.contains(&variable) || variable.starts_with("CARGO_") && !kept
}

/// A variable that cargo sets for every build script.
pub(crate) fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo did not set {name}: {error}"))
}
