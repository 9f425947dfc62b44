//! `cargo xtask bench instructions`: how many instructions the store's commands take, counted by valgrind. The counts are
//! the same on a busy machine, so that a change of a percent shows.
//!
//! `host/wharf-bench/instructions` is what is counted. Its harness, gungraun, needs a runner of exactly its own version,
//! which is installed into the target folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cargo::run as run_command;
use crate::{root, setup};

/// The workspace of what is counted.
const WORKSPACE: &str = "host/wharf-bench/instructions";

pub(super) fn run() -> Result<()> {
    setup::valgrind()?;
    let workspace = root().join(WORKSPACE);
    let runner = runner(&workspace)?;
    let output = Command::new("cargo")
        .args(["bench", "--quiet", "--", "--output-format=json"])
        .current_dir(&workspace)
        .env("GUNGRAUN_RUNNER", runner)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo bench")?;
    ensure!(
        output.status.success(),
        "cargo bench failed: {}",
        output.status
    );
    let counts: Vec<Count> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(Count::read)
        .collect::<Result<_>>()?;
    ensure!(!counts.is_empty(), "cargo bench counted nothing");
    println!("| command | instructions | a message | last time |\n| --- | ---: | ---: | ---: |");
    for count in &counts {
        let a_message = count.now as f64 / count.batch();
        let before = count
            .before
            .map_or(String::new(), |before| before.to_string());
        println!(
            "| {} | {} | {a_message:.0} | {before} |",
            count.name, count.now
        );
    }
    let by_name: BTreeMap<_, _> = counts.iter().map(|one| (&one.name, one.now)).collect();
    println!("{}", serde_json::json!(by_name));
    Ok(())
}

/// The runner of the version that the lock file names, built where it is missing.
fn runner(workspace: &Path) -> Result<PathBuf> {
    let version = version(&workspace.join("Cargo.lock"))?;
    let folder = root().join(format!("target/tools/gungraun-runner-{version}"));
    let runner = folder.join("bin/gungraun-runner");
    if !runner.is_file() {
        eprintln!(
            "installing gungraun-runner {version} into {}",
            folder.display()
        );
        let install = ["install", "gungraun-runner", "--locked", "--quiet"];
        run_command(
            Command::new("cargo")
                .args(install)
                .args(["--version", &format!("={version}")])
                .arg("--root")
                .arg(&folder),
        )
        .context(
            "counting needs gungraun-runner: give this machine a network and run this again",
        )?;
    }
    Ok(runner)
}

/// Which gungraun a lock file names.
fn version(lock: &Path) -> Result<String> {
    let text =
        std::fs::read_to_string(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let lock: toml::Table = text.parse().context("a lock file is TOML")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let gungraun = packages
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(toml::Value::as_str) == Some("gungraun"));
    let version = gungraun.and_then(|package| package.get("version")?.as_str());
    Ok(version
        .context("the lock file names no gungraun")?
        .to_owned())
}

/// Instructions of a bench.
struct Count {
    /// The command and its batch, such as `accept_batch_64`.
    name: String,
    now: u64,
    /// What they were when it last ran on this machine, if it did.
    before: Option<u64>,
}

impl Count {
    /// Reads the line of JSON that says what came of a bench.
    fn read(line: &str) -> Result<Self> {
        let said: Value = serde_json::from_str(line).context("gungraun said what is no JSON")?;
        let name = said["function_name"].as_str().zip(said["id"].as_str());
        let (command, id) = name.context("gungraun named no bench")?;
        let counted = &said["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"];
        let now = counted["new"].as_u64();
        Ok(Self {
            name: format!("{command}_{id}"),
            now: now.with_context(|| format!("gungraun did not count {command} {id}"))?,
            before: counted["old"].as_u64(),
        })
    }

    /// How many messages it is about: the number in its name.
    fn batch(&self) -> f64 {
        let digits = self.name.split('_').find_map(|word| word.parse().ok());
        digits.unwrap_or(1.0)
    }
}
