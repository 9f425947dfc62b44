//! The bench itself, made as small as it can be: every part of it works, and every figure comes out. How large they are
//! is not looked at: that is what the bench is for.

use std::process::Command;

/// What the last line has, no more and no less.
const FIGURES: [&str; 12] = [
    "backlog_5m_ratio",
    "fsyncs_per_commit",
    "lifecycle_ratio_1024",
    "lifecycle_ratio_256",
    "lifecycle_ratio_64",
    "ready_s_5m",
    "rss_mib_5m",
    "single_p50_over_fsync",
    "vs_fjall_256",
    "vs_row_256",
    "vs_sqlite_256",
    "write_amplification_256",
];

fn run(out: &std::path::Path, more: &[&str]) -> serde_json::Map<String, serde_json::Value> {
    let ran = Command::new(env!("CARGO_BIN_EXE_wharf-bench"))
        .args(["--rounds", "1", "--slice-ms", "1", "--backlog", "2000"])
        .args(more)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let complained = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}{complained}");
    let last = said.lines().last().unwrap();
    serde_json::from_str(last).unwrap_or_else(|cause| panic!("{last} is no JSON: {cause}"))
}

#[test]
fn every_part_gives_its_figures() {
    let out = tempfile::tempdir().unwrap();
    let figures = run(out.path(), &[]);
    assert_eq!(figures.keys().collect::<Vec<_>>(), FIGURES);
    for (name, figure) in &figures {
        assert!(
            figure.as_f64().is_some_and(|figure| figure > 0.0),
            "{name} is {figure}"
        );
    }
    let files: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["report.md", "figures.json", "plot.svg"] {
        assert!(files.iter().any(|file| file == name), "{name} is missing");
    }
    assert!(
        !files.iter().any(|file| file.starts_with("data-")),
        "the engines' files are left: {files:?}"
    );
}

#[test]
fn a_part_alone_leaves_the_others_out() {
    let out = tempfile::tempdir().unwrap();
    let figures = run(out.path(), &["--only", "closed-loop"]);
    assert_eq!(figures.keys().collect::<Vec<_>>(), FIGURES);
    let (there, missing): (Vec<_>, Vec<_>) =
        figures.iter().partition(|(_, figure)| figure.is_number());
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0].0, "single_p50_over_fsync");
    assert!(missing.iter().all(|(_, figure)| figure.is_null()));
}
