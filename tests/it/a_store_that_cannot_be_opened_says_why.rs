use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use wharf_testkit::process::Host;

use crate::support::{assert_has, ended, host};

/// A host that was closed cleanly, with an empty store.
fn closed() -> Host {
    let mut host = host("").start().unwrap();
    host.terminate().unwrap();
    host
}

/// What a start ends with that cannot open its store, which is left as it is.
#[track_caller]
fn assert_refused(host: &Host, expected: &[&str]) {
    let before = fs::read(host.path("wharf.redb")).unwrap();
    let (code, said, error) = ended(host.cli(["serve"]).unwrap());
    assert_eq!((code, &*said), (1, ""), "{error}");
    assert_has(&error, &["error: cannot open the store", "  try: "]);
    assert_has(&error, expected);
    assert!(!error.contains("listening on"), "{error}");
    let after = fs::read(host.path("wharf.redb")).unwrap();
    assert!(before == after, "the start changed the file");
}

/// Goal: a second host on a store says so; the first one goes on.
#[test]
fn a_second_host_is_refused() {
    let host = host("").start().unwrap();
    let (code, _, error) = ended(host.cli(["serve"]).unwrap());
    assert_eq!(code, 1);
    assert_has(
        &error,
        &["is in use by another process", "stop the other", "--store"],
    );
    assert_eq!(host.http("GET", "/readyz", &[], b"").unwrap().status, 200);
}

/// Goal: what is no store, or a damaged one, is called that, says what to do, and is left as it is.
#[test]
fn a_damaged_file_is_left_as_it_is() {
    let host = closed();
    let whole = fs::read(host.path("wharf.redb")).unwrap();
    let damaged = "put a backup in its place";
    let flipped = {
        let mut bytes = whole.clone();
        bytes[..64].iter_mut().for_each(|byte| *byte ^= 0x5a);
        bytes
    };
    for (name, bytes) in [
        ("cut off", &whole[..whole.len() / 2]),
        ("empty", &[]),
        ("garbage", &[0x77; 40_000]),
        ("text", b"not a database"),
        ("flipped", &flipped),
    ] {
        println!("{name}");
        fs::write(host.path("wharf.redb"), bytes).unwrap();
        assert_refused(&host, &["is damaged, or not a wharf store", damaged]);
    }
    fs::write(host.path("wharf.redb"), &whole).unwrap();
    assert_eq!(ended(host.cli(["store", "check"]).unwrap()).0, 0);
}

/// Goal: a file of another format is refused by its number, and says how it is carried over.
#[test]
fn another_format_is_named() {
    let host = closed();
    let (_, stat, _) = ended(host.cli(["store", "stat", "--json"]).unwrap());
    let stat: serde_json::Value = serde_json::from_str(&stat).unwrap();
    let known = stat["format"].as_u64().unwrap() as u32;
    let whole = fs::read(host.path("wharf.redb")).unwrap();
    for (format, expected) in [
        (known + 1, ["use a later one", "wharf store export"]),
        (5, ["that of a draft", "begin a new file"]),
    ] {
        fs::write(host.path("wharf.redb"), with_format(&whole, known, format)).unwrap();
        assert_refused(&host, &expected);
        assert_refused(&host, &[&format!("has format {format}, ")]);
    }
}

/// The same file with another number of its format. In the table's page the names stand one after the other, and behind the
/// last one the values: the mark of a clean stop, the format, and the version of the id key. The engine's checksum, which
/// an open does not look at, is wrong then.
fn with_format(file: &[u8], known: u32, format: u32) -> Vec<u8> {
    let value = |format: u32| [b"idslogstate\x01", &format.to_le_bytes()[..], b"\x01"].concat();
    let (before, after) = (value(known), value(format));
    let mut file = file.to_vec();
    let places: Vec<_> = (0..file.len() - before.len())
        .filter(|at| file[*at..].starts_with(&before))
        .collect();
    assert!(!places.is_empty(), "the format is not where it was");
    for at in places {
        file[at..][..after.len()].copy_from_slice(&after);
    }
    file
}

/// Goal: a file, or a folder, that may not be used is named with what the system says.
#[test]
fn a_file_that_may_not_be_written_is_named() {
    let host = closed();
    let before = fs::read(host.path("wharf.redb")).unwrap();
    let refused = |expected: &[&str]| {
        let mut command = host.command();
        let error = run_as_stranger(command.arg("serve"));
        assert_has(
            &error,
            &["error: cannot open the store", "no permission for"],
        );
        assert_has(&error, expected);
    };
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(host.folder(), 0o755);
    allow(&host.path("wharf.redb"), 0o444);
    refused(&[
        "wharf.redb",
        "Permission denied",
        "let the user that runs wharf",
    ]);
    assert!(fs::read(host.path("wharf.redb")).unwrap() == before);

    fs::remove_file(host.path("wharf.redb")).unwrap();
    allow(host.folder(), 0o555);
    refused(&["wharf.redb", "Permission denied"]);
    allow(host.folder(), 0o755);
    assert!(!host.path("wharf.redb").exists());
}

/// Goal: an error of the file system is named with what the system says.
#[test]
fn a_path_that_cannot_be_used_is_named() {
    let host = closed();
    for (path, expected) in [
        ("nowhere/wharf.redb", "No such file or directory"),
        ("plugins", "Is a directory"),
        ("wharf.toml/wharf.redb", "Not a directory"),
    ] {
        let (code, _, error) = ended(host.cli(["serve", "--store", path]).unwrap());
        assert_eq!(code, 1);
        assert_has(
            &error,
            &["error: cannot open the store", expected, "  try: "],
        );
    }
}

/// Runs a command that ends with 1 as someone who owns nothing here; what it says. The superuser is never refused.
fn run_as_stranger(command: &mut Command) -> String {
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let (code, _, error) = ended(command.output().unwrap());
    assert_eq!(code, 1, "{error}");
    error
}
