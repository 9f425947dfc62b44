//! Versions come and go; nothing of an old one stays.

use std::fs;
use std::path::Path;
use std::pin::pin;

use wharf_plugin::{Binding, Call, Converter, Grants, Host, Options, Plugin, Wire, limits};
use wharf_testkit::guest;

/// A version of the guest `misbehave` with a digest of its own: a custom section more.
fn version(number: u32) -> Vec<u8> {
    let mut wasm = fs::read(guest("misbehave")).unwrap();
    let section = [[1, b'v'].as_slice(), &number.to_le_bytes()].concat();
    wasm.extend([0, section.len() as u8]);
    wasm.extend(section);
    wasm
}

/// Puts a version into the file and makes a plugin of it, as a swap does.
async fn swap(host: &Host, file: &Path, number: u32) -> Plugin {
    fs::write(file, version(number)).unwrap();
    let plugin = host.prepare(file, |_| Grants::default()).await.unwrap();
    host.adopt(plugin.clone());
    plugin
}

fn bind(plugin: &Plugin) -> Converter {
    plugin.bind_converter(Binding::default()).unwrap()
}

fn call(mode: &str) -> Call {
    Call {
        channel: "partner-a".to_owned(),
        route: "orders".to_owned(),
        message_id: "01JMESSAGE".to_owned(),
        delivery: 7,
        idempotency_key: "01JMESSAGE".to_owned(),
        attempt: 1,
        accepted_ms: 1,
        now_ms: 2,
        ordering_key: None,
        attributes: vec![("misbehave".to_owned(), mode.to_owned())],
        extra: Vec::new(),
    }
}

fn message() -> Wire {
    Wire {
        endpoint: None,
        headers: Vec::new(),
        body: b"x".to_vec(),
    }
}

/// The cached files that this process has mapped, those that are gone from the disk included.
fn mapped(cache: &Path) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let prefix = cache.display().to_string();
    let mut files: Vec<_> = maps
        .lines()
        .filter_map(|line| Some(line[line.find(&prefix)?..].to_owned()))
        .collect();
    files.sort();
    files.dedup();
    files
}

/// Goal: after many swaps there is one version: its instances, its code in memory; on disk as many as the limit says.
#[tokio::test]
async fn many_swaps_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (file, cache) = (dir.path().join("a.wasm"), dir.path().join("cache"));
    let host = Host::new(Options {
        cache_dir: Some(cache.clone()),
        ..Options::default()
    })
    .unwrap();
    let swaps_count = limits::CACHE_SPARES_MAX as u32 + 8;
    let mut digests = std::collections::BTreeSet::new();
    for number in 0..swaps_count {
        let plugin = swap(&host, &file, number).await;
        digests.insert(plugin.digest().to_owned());
        let converter = bind(&plugin);
        converter
            .convert(&call("none"), &message())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(host.instances_count(), 1, "after swap {number}");
    }
    assert_eq!(digests.len() as u32, swaps_count);
    assert_eq!(host.instances_count(), 0);
    let cached = fs::read_dir(&cache).unwrap().count();
    assert_eq!(
        cached,
        2 * (limits::CACHE_SPARES_MAX + 1),
        "code and sum of each"
    );
    if cfg!(target_os = "linux") {
        assert_eq!(mapped(&cache).len(), 1, "{:#?}", mapped(&cache));
    }
    let last = host.plugin("a").unwrap();
    assert!(!last.info().from_cache);
    // One that goes and comes again was kept.
    assert!(swap(&host, &file, swaps_count - 2).await.info().from_cache);
}

/// Goal: a call that has begun ends on the version that it began with, which goes with the call.
#[tokio::test]
async fn an_old_version_lives_as_long_as_its_last_call() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.wasm");
    let host = Host::new(Options::default()).unwrap();
    let plugin = swap(&host, &file, 0).await;
    let (old, old_digest) = (bind(&plugin), plugin.digest().to_owned());
    drop(plugin);
    let (nap, message) = (call("nap"), message());
    {
        let mut begun = pin!(old.convert(&nap, &message));
        tokio::select! {
            biased;
            result = &mut begun => panic!("{result:?}"),
            () = std::future::ready(()) => {}
        }
        let plugin = swap(&host, &file, 1).await;
        assert_ne!(plugin.digest(), old_digest);
        let new = bind(&plugin);
        new.convert(&call("none"), &message).await.unwrap().unwrap();
        assert_eq!(host.instances_count(), 2);
        drop(new);
        assert_eq!(host.instances_count(), 1);
        begun.await.unwrap().unwrap();
    }
    drop(old);
    assert_eq!(host.instances_count(), 0);
}
