//! Builds the components of tests/guests and puts them where `src/guests.rs` finds them, each under its own name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

/// Every guest, and what it is there to show. A folder that is missing here fails the build, so that no guest is
/// left untested by accident.
const GUESTS: [(&str, &str); 5] = [
    (
        "cache-secret",
        "instances are never shared between bindings",
    ),
    ("misbehave", "each broken limit is its own fault"),
    ("old-draft", "another draft of the contract is refused"),
    ("outcomes", "each outcome of a channel is stored as it is"),
    ("wants-http", "a power that was not granted is refused"),
];

fn main() -> ExitCode {
    // xtask uses this crate too, and adds the wasm target that guests need; it must build without it.
    if env::var_os("CARGO_FEATURE_GUESTS").is_none() {
        return ExitCode::SUCCESS;
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to build tests/guests: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guests = root.join("tests/guests");
    rerun_on_change(&root, &guests);
    check_classified(&guests)?;
    check_target()?;

    let manifest = guests.join("Cargo.toml");
    let target_dir = guests.join("target");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args(["build", "--release", "--target", TARGET])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target_dir);
    // What the outer cargo was told is about the host's code, not about guests.
    for leaked in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(leaked);
    }
    let status = cargo
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(format!("cargo ended with {status}; its messages are above"));
    }

    let out_dir = PathBuf::from(variable("OUT_DIR")).join("guests");
    fs::create_dir_all(&out_dir).map_err(|error| format!("{}: {error}", out_dir.display()))?;
    for (guest, _) in GUESTS {
        let file = format!("{}.wasm", guest.replace('-', "_"));
        let built = target_dir.join(TARGET).join("release").join(file);
        fs::copy(&built, out_dir.join(guest).with_extension("wasm"))
            .map_err(|error| format!("{}: {error}", built.display()))?;
    }
    println!("cargo::rustc-env=WHARF_GUESTS={}", out_dir.display());
    Ok(())
}

/// Not the whole folder, which holds the guests' own target directory.
fn rerun_on_change(root: &Path, guests: &Path) {
    let mut watched = vec![
        PathBuf::from("build.rs"),
        root.join("wit"),
        guests.join("Cargo.toml"),
        guests.join("Cargo.lock"),
    ];
    watched.extend(GUESTS.iter().map(|(guest, _)| guests.join(guest)));
    for path in watched {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn check_classified(guests: &Path) -> Result<(), String> {
    let listing = fs::read_dir(guests).map_err(|error| format!("{}: {error}", guests.display()))?;
    let folders: BTreeSet<String> = listing
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let classified: BTreeSet<String> = GUESTS.iter().map(|(guest, _)| guest.to_string()).collect();
    if let Some(guest) = folders.difference(&classified).next() {
        return Err(format!(
            "`{guest}` has no line in GUESTS of host/wharf-testkit/build.rs"
        ));
    }
    if let Some(guest) = classified.difference(&folders).next() {
        return Err(format!("`{guest}` stands in GUESTS, but has no folder"));
    }
    Ok(())
}

fn check_target() -> Result<(), String> {
    let output = Command::new(variable("RUSTC"))
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let libdir = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(libdir.trim()).is_dir() {
        return Ok(());
    }
    Err(format!(
        "the target {TARGET} is missing; run `rustup target add {TARGET}`"
    ))
}

/// A variable that cargo sets for every build script.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
