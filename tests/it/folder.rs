//! What the scenarios of the plugin folder share: versions of a component, and how a file stands.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wharf_testkit::process::{Host, eventually};

use crate::support::{SOON, health};

/// Another version of a component: a text in it is another one of the same length.
pub(crate) fn version(component: &[u8], text: &str, other: &str) -> Vec<u8> {
    assert_eq!(text.len(), other.len());
    let mut version = component.to_vec();
    let places: Vec<_> = component
        .windows(text.len())
        .enumerate()
        .filter_map(|(place, window)| (window == text.as_bytes()).then_some(place))
        .collect();
    assert!(!places.is_empty(), "no {text:?} in the component");
    for place in places {
        version[place..place + text.len()].copy_from_slice(other.as_bytes());
    }
    version
}

pub(crate) fn digest(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

/// How the folder stands, as the API shows it.
pub(crate) fn folder(host: &Host) -> Value {
    let answer = host.http("GET", "/v1/plugins", &[], b"").unwrap();
    answer.json().unwrap()
}

/// How a file stands. Null: neither is there a file, nor does anything run under its name.
pub(crate) fn file(host: &Host, name: &str) -> Value {
    let mut folder = folder(host);
    let plugins = folder["plugins"].as_array_mut().unwrap();
    let found = plugins.iter_mut().find(|plugin| plugin["name"] == name);
    found.map_or(Value::Null, Value::take)
}

/// Waits until a file stands like this, and shows it.
#[track_caller]
pub(crate) fn wait_for_file(host: &Host, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = eventually(SOON, || {
        last = file(host, name);
        is_so(&last).then_some(())
    });
    assert!(found.is_some(), "the file {name} stands as {last:#}");
    last
}

/// Waits until this component runs and is what the file has.
#[track_caller]
pub(crate) fn wait_until_loaded(host: &Host, name: &str, component: &[u8]) -> Value {
    let digest = digest(component);
    wait_for_file(host, name, |file| {
        file["state"] == "loaded" && file["digest"] == *digest
    })
}

/// Waits until the file is in this state although another one runs, which goes on.
#[track_caller]
pub(crate) fn wait_until_passed_over(
    host: &Host,
    name: &str,
    state: &str,
    bad: &[u8],
    running: &[u8],
) -> Value {
    let bad = digest(bad);
    let file = wait_for_file(host, name, |file| {
        file["state"] == state && file["file_digest"] == *bad
    });
    assert_eq!(file["digest"], digest(running));
    file
}

/// The reason for which health is degraded that names this. Panics where there is none.
#[track_caller]
pub(crate) fn reason(host: &Host, name: &str) -> String {
    let (status, reasons) = health(host);
    assert_eq!(status, "degraded");
    let found = reasons.iter().find(|(named, _)| named.ends_with(name));
    let (_, reason) = found.unwrap_or_else(|| panic!("no {name} in {reasons:#?}"));
    reason.clone()
}

/// Waits until nothing is wrong.
#[track_caller]
pub(crate) fn wait_until_healthy(host: &Host) {
    let mut last = health(host);
    let fine = eventually(SOON, || {
        last = health(host);
        (last.0 == "ok").then_some(())
    });
    assert!(fine.is_some(), "{last:#?}");
}

/// Waits until the host has the code of these components in memory, and of no other: what ran before is gone.
#[track_caller]
pub(crate) fn wait_until_only_these_are_in_memory(host: &Host, components: &[&[u8]]) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let expected: BTreeSet<String> = components.iter().map(|c| digest(c)).collect();
    let mut mapped = BTreeSet::new();
    let only = eventually(SOON, || {
        let maps = fs::read_to_string(format!("/proc/{}/maps", host.pid())).unwrap();
        let code = maps.lines().filter_map(|line| {
            let (_, path) = line.split_once("/.wharf-cache/")?;
            Some(path[..64].to_owned())
        });
        mapped = code.collect();
        (mapped == expected).then_some(())
    });
    assert!(only.is_some(), "{mapped:#?} instead of {expected:#?}");
}

/// The lines of the log with all of these in them.
pub(crate) fn log_lines(host: &Host, parts: &[&str]) -> Vec<String> {
    let log = host.log();
    let lines = log
        .lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)));
    lines.map(str::to_owned).collect()
}

/// A component of some ten KiB that is a trap for compilers: one function of this many nested loops that all carry
/// this many local variables. Both made large, it takes minutes and gigabytes.
pub(crate) fn compile_bomb(loops: usize, locals: usize) -> Vec<u8> {
    let mut body = [leb(1), leb(locals), vec![0x7f]].concat();
    for number in 0..loops {
        // loop (local.get y) (local.get 0) i32.add (local.tee x) (br_if 0)
        let (x, y) = (1 + number % locals, 1 + number * 7 % locals);
        body.extend(
            [
                &[0x03, 0x40, 0x20][..],
                &leb(y),
                &[0x20, 0x00, 0x6a, 0x22],
                &leb(x),
            ]
            .concat(),
        );
        body.extend([0x0d, 0x00]);
    }
    body.extend(vec![0x0b; loops]);
    body.extend([0x20, 0x00, 0x0b]);

    let types = [1, 0x60, 1, 0x7f, 1, 0x7f].to_vec();
    let code = [leb(1), leb(body.len()), body].concat();
    let sections = [section(1, types), section(3, vec![1, 0]), section(10, code)];
    let module = [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, module)].concat()
}

fn section(id: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![id], leb(content.len()), content].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
