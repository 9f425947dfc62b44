//! What every command needs first: the wasm target, and what C dependencies are built with; for tests, a package of
//! another language too. Each command does its own set-up, so that any can be the first on a fresh machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cargo::run;
use crate::root;

const TARGET: &str = "wasm32-wasip2";

/// Versions and hashes of the packages in tests/node.
const NPM_LOCK: &str = "package-lock.json";

/// Everything that a build needs.
pub(crate) fn build() -> Result<()> {
    wasm_target()?;
    make()
}

/// What C dependencies are built with.
pub(crate) fn make() -> Result<()> {
    if cfg!(target_os = "linux") {
        // jemalloc is built with it. The C compiler is there: Rust links with it.
        tool("make", "make")?;
    }
    Ok(())
}

/// Everything that the tests need beyond a build: the npm packages of tests/node, in `target/node`.
///
/// They are installed again only when their lock file has changed, so a network is needed once.
pub(crate) fn tests() -> Result<()> {
    build()?;
    tool("node", "nodejs")?;
    tool("npm", "npm")?;
    let (wanted, folder) = (root().join("tests/node"), root().join("target/node"));
    let lock = fs::read(wanted.join(NPM_LOCK)).context("cannot read tests/node")?;
    let done = folder.join("installed.json");
    if fs::read(&done).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    for file in ["package.json", NPM_LOCK] {
        fs::copy(wanted.join(file), folder.join(file))?;
    }
    // `ci` takes exactly what the lock file names, each package checked by its hash; none of them runs anything.
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder))
    .context(
        "tests verify our signatures with a package from npm: give this machine a network, or npm a registry \
         (`npm config set registry URL`), and run this again",
    )?;
    // Last, so that what was broken off is done again.
    fs::write(done, lock)?;
    Ok(())
}

/// What counts instructions.
pub(crate) fn valgrind() -> Result<()> {
    tool("valgrind", "valgrind")
}

/// Installs the Debian package of a tool that is missing, where we may; else says what to do.
fn tool(name: &str, package: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    if is_there(name) {
        return Ok(());
    }
    let install = ["apt-get", "install", "--yes", package];
    let line = install.join(" ");
    ensure!(
        is_root() && is_there("apt-get"),
        "`{name}` is missing; install it, on Debian with `{line}`"
    );
    eprintln!("`{name}` is missing: {line}");
    run(Command::new("apt-get").arg("update"))?;
    run(Command::new("apt-get").args(&install[1..]))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Adds the wasm target if it is missing.
fn wasm_target() -> Result<()> {
    let libdir = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("cannot run rustc: install Rust with rustup")?;
    let libdir = String::from_utf8_lossy(&libdir.stdout);
    if Path::new(libdir.trim()).exists() {
        return Ok(());
    }
    eprintln!("adding the Rust target {TARGET}");
    run(Command::new("rustup").args(["target", "add", TARGET])).with_context(|| {
        format!("plugins need the Rust target {TARGET}: run `rustup target add {TARGET}`")
    })
}

/// Builds the shipped plugins into `target/plugins`.
pub(crate) fn plugins() -> Result<()> {
    wasm_target()?;
    let workspace = root().join("plugins");
    // In their own folder, where their own cargo configuration counts.
    run(Command::new("cargo")
        .args(["build", "--release", "--target", TARGET])
        .current_dir(&workspace))?;
    let built = workspace.join("target").join(TARGET).join("release");
    let out = root().join("target/plugins");
    fs::create_dir_all(&out)?;
    let mut count = 0;
    for entry in fs::read_dir(&built).with_context(|| format!("cannot read {}", built.display()))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            let name = path
                .file_name()
                .context("a file has a name")?
                .to_string_lossy()
                .replace('_', "-");
            fs::copy(&path, out.join(&name))?;
            println!("{}", out.join(&name).display());
            count += 1;
        }
    }
    ensure!(count > 0, "no plugin was built in {}", built.display());
    Ok(())
}

/// The component of one folder of tests/guests, built now.
pub(crate) fn guest(name: &str) -> Result<Vec<u8>> {
    wasm_target()?;
    let workspace = root().join("tests/guests");
    run(Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--package", name])
        .current_dir(&workspace))?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    let path = workspace
        .join("target")
        .join(TARGET)
        .join("release")
        .join(file);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}
