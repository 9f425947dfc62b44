//! `cargo xtask tidy`: the structure that no compiler checks.
//!
//! - A crate exists because it forbids something: only wharf-store names redb (and wharf-bench, to compare), only
//!   wharf-plugin names wasmtime.
//! - Dependencies point one way: `wharf → wharf-server → {store, plugin, api} → core`.
//! - Every problem code has a page that says what happened, why, and what to do; every page has a code.
//! - Every scenario shows something that is promised, and what is said to show a promise exists.
//! - One thing has one name in the log: a message is `message_id`, since `message` is the text of the line.
//! - No file grows past what one can hold in the head.
//! - Nothing in the repository points outside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::root;

/// Lines of a source file past which there is a second idea in it.
const LINES_MAX: usize = 800;

/// Who alone may depend on what. wharf-bench keeps messages in other engines, and in redb in another way, to compare.
const RESERVED: &[(&str, &[&str])] = &[
    ("redb", &["wharf-store", "wharf-bench"]),
    ("fjall", &["wharf-bench"]),
    ("rusqlite", &["wharf-bench"]),
    ("wasmtime", &["wharf-plugin"]),
    ("wasmtime-wasi", &["wharf-plugin"]),
    ("wasmtime-wasi-config", &["wharf-plugin"]),
    ("wasmtime-wasi-http", &["wharf-plugin"]),
    ("sqlx", &["wharf-outbox"]),
];

/// Which of our crates each may depend on (tests aside).
const LAYERS: &[(&str, &[&str])] = &[
    ("wharf-core", &[]),
    ("wharf-store", &["wharf-core"]),
    ("wharf-plugin", &["wharf-core"]),
    ("wharf-api", &["wharf-core"]),
    (
        "wharf-server",
        &["wharf-core", "wharf-store", "wharf-plugin", "wharf-api"],
    ),
    ("wharf", &["wharf-server", "wharf-api"]),
];

/// Where the problem codes are, and their pages.
const PROBLEM_CODES: &str = "host/wharf-api/src/problem.rs";
/// See [`PROBLEM_CODES`].
const PROBLEM_PAGES: &str = "docs/problems";

/// What each page has.
const PROBLEM_SECTIONS: &[&str] = &["## What happened", "## Why", "## What to do", "## Example"];

/// What is promised, and which test shows it: tables whose last column names scenarios, and paths of other tests.
const PROMISES: &str = "docs/promises.md";

/// Where the scenarios are.
const SCENARIOS: &str = "tests/it";

/// What is in their folder and is none.
const NO_SCENARIOS: &[&str] = &["main", "support", "folder"];

/// Crates that wharf-core must not have: it is synchronous and pure.
const IMPURE: &[&str] = &[
    "tokio",
    "redb",
    "wasmtime",
    "getrandom",
    "rand",
    "hyper",
    "reqwest",
];

pub(crate) fn run() -> Result<()> {
    let mut problems = Vec::new();
    let root = root();
    let manifests = manifests(&root)?;
    check_dependencies(&manifests, &mut problems);
    check_problem_pages(&root, &mut problems)?;
    check_promises(&root, &mut problems)?;
    for file in tracked(&root)? {
        check_file(&root, &file, &mut problems);
    }
    if problems.is_empty() {
        println!("tidy: fine");
        return Ok(());
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    bail!("{} problems in the structure", problems.len())
}

/// Dependencies (not the dev ones) by crate.
fn manifests(root: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("host"))? {
        let path = entry?.path().join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("cannot read {}", path.display()))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str)
            .with_context(|| format!("{} names no package", path.display()))?;
        let dependencies = manifest
            .get("dependencies")
            .and_then(toml::Value::as_table)
            .map(|table| table.keys().cloned().collect())
            .unwrap_or_default();
        found.insert(name.to_owned(), dependencies);
    }
    Ok(found)
}

fn check_dependencies(manifests: &BTreeMap<String, Vec<String>>, problems: &mut Vec<String>) {
    for (name, dependencies) in manifests {
        for dependency in dependencies {
            if let Some((_, owners)) = RESERVED.iter().find(|(reserved, _)| reserved == dependency)
                && !owners.contains(&name.as_str())
            {
                problems.push(format!(
                    "{name} depends on {dependency}; only {} may",
                    owners.join(" and ")
                ));
            }
            if name == "wharf-core" && IMPURE.contains(&dependency.as_str()) {
                problems.push(format!(
                    "wharf-core depends on {dependency}; it is to stay pure"
                ));
            }
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == name) else {
            continue;
        };
        for dependency in dependencies.iter().filter(|d| manifests.contains_key(*d)) {
            if !allowed.contains(&dependency.as_str()) {
                problems.push(format!(
                    "{name} depends on {dependency}; dependencies point one way"
                ));
            }
        }
    }
}

fn check_problem_pages(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let source = std::fs::read_to_string(root.join(PROBLEM_CODES))
        .with_context(|| format!("cannot read {PROBLEM_CODES}"))?;
    let codes: Vec<&str> = source.lines().filter_map(problem_code).collect();
    if codes.is_empty() {
        bail!("{PROBLEM_CODES} has no line such as `NotFound = 404 \"not-found\" …`");
    }
    for code in &codes {
        let name = format!("{PROBLEM_PAGES}/{code}.md");
        let Ok(page) = std::fs::read_to_string(root.join(&name)) else {
            problems.push(format!("the problem {code} has no page {name}"));
            continue;
        };
        for section in PROBLEM_SECTIONS {
            if !page.lines().any(|line| line == *section) {
                problems.push(format!("{name} has no section {section:?}"));
            }
        }
    }
    for entry in std::fs::read_dir(root.join(PROBLEM_PAGES))? {
        let file = PathBuf::from(entry?.file_name());
        let code = file.file_stem().and_then(|stem| stem.to_str());
        if code.is_some_and(|code| code != "README" && !codes.contains(&code)) {
            problems.push(format!(
                "{PROBLEM_PAGES}/{} is no problem's",
                file.display()
            ));
        }
    }
    Ok(())
}

fn check_promises(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let page = std::fs::read_to_string(root.join(PROMISES))
        .with_context(|| format!("cannot read {PROMISES}"))?;
    let named: BTreeSet<&str> = page.lines().flat_map(tests_of_promise).collect();
    let scenario = |name: &str| format!("{SCENARIOS}/{name}.rs");
    for name in &named {
        let path = match name.contains('/') {
            true => (*name).to_owned(),
            false => scenario(name),
        };
        if !root.join(&path).exists() {
            problems.push(format!("{PROMISES} names {path}, which does not exist"));
        }
    }
    for entry in std::fs::read_dir(root.join(SCENARIOS))? {
        let file = PathBuf::from(entry?.file_name());
        let name = file.file_stem().and_then(|stem| stem.to_str());
        if let Some(name) = name.filter(|name| !NO_SCENARIOS.contains(name))
            && !named.contains(name)
        {
            problems.push(format!(
                "{} shows no promise: name it in {PROMISES}",
                scenario(name)
            ));
        }
    }
    Ok(())
}

/// What stands in backquotes in the last column of a table's row.
fn tests_of_promise(line: &str) -> impl Iterator<Item = &str> {
    let row = line.strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    let cell = row.and_then(|row| row.rsplit_once('|'));
    let cell = cell.map_or("", |(_, cell)| cell);
    cell.split('`').skip(1).step_by(2)
}

/// The code of a line such as `NotFound = 404 "not-found" "There is nothing at this path",`.
fn problem_code(line: &str) -> Option<&str> {
    let (_, value) = line.split_once(" = ")?;
    let (status, rest) = value.split_once(" \"")?;
    let (code, _) = rest.split_once('"')?;
    (status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit())).then_some(code)
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(PathBuf::from)
        .collect())
}

fn check_file(root: &Path, file: &Path, problems: &mut Vec<String>) {
    // Sample payloads are others' bytes.
    if file.starts_with("tests/data") {
        return;
    }
    let Ok(text) = std::fs::read_to_string(root.join(file)) else {
        return;
    };
    let name = file.display();
    if file.extension().is_some_and(|extension| extension == "rs") {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            problems.push(format!(
                "{name} has {lines} lines: is there a second idea in it?"
            ));
        }
        let owner = [
            "host/wharf-store",
            "host/wharf-bench",
            "host/xtask/src/tidy.rs",
        ]
        .iter()
        .any(|owner| file.starts_with(owner));
        if !owner && text.contains("redb::") {
            problems.push(format!("{name} names redb; only wharf-store may"));
        }
        let owner = file.starts_with("host/wharf-plugin") || file.ends_with("xtask/src/tidy.rs");
        if !owner && text.contains("wasmtime::") {
            problems.push(format!("{name} names wasmtime; only wharf-plugin may"));
        }
    }
    if file.starts_with("host") && file.extension().is_some_and(|extension| extension == "rs") {
        for (at, line) in text.lines().enumerate() {
            // A field of a tracing event ends in a comma, where an assignment does not.
            let is_field = ["message = ", "message = %"]
                .iter()
                .any(|field| line.trim().starts_with(field));
            if is_field && line.trim().ends_with(',') && text.contains("tracing::") {
                problems.push(format!(
                    "{name}:{} logs a field `message`; it is `message_id`",
                    at + 1
                ));
            }
        }
    }
    let outside = ["..", "shared"].join("/");
    if text.contains(&outside) {
        problems.push(format!("{name} points outside the repository"));
    }
}
