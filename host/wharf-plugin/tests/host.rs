//! The host against real guests, most of them badly behaved (tests/guests).

mod support;

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use support::{answer, binding, call, chain, host, message, misbehave};
use wharf_plugin::{
    Event, Fault, FaultKind, Grants, Hook, Host, LoadProblem, Operation, Options, Outcome,
    Response, Step,
};
use wharf_testkit::guest;

/// Every hook of a well-behaved guest answers, through types that need no conversion.
#[tokio::test]
async fn hooks_take_and_give_the_values_of_the_contract() {
    let plugin = misbehave(Options::default(), Grants::default()).await;
    assert_eq!(plugin.hooks(), Hook::ALL);
    assert_eq!(
        plugin.info().description.as_ref().unwrap().settings[0].key,
        "misbehave"
    );

    let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
    let converted = converter.convert(&call("none"), &message()).await.unwrap();
    assert_eq!(converted, Ok(message()));
    let refused = converter
        .convert(&call("refuse"), &message())
        .await
        .unwrap();
    assert!(matches!(refused, Err(Fault::Rejected(refusal)) if refusal.code == "told-to"));

    let enricher = plugin.bind_enricher(binding("channel a", &[])).unwrap();
    let enrichment = enricher
        .enrich(&call("none"), &message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        enrichment.attributes,
        [("enriched".to_owned(), "yes".to_owned())]
    );

    let channel = plugin
        .bind_request_channel(binding("channel a", &[]))
        .unwrap();
    let step = channel
        .start(&call("none"), &Operation::Send(message()))
        .await
        .unwrap();
    let Step::Request(request) = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        (request.url.as_str(), request.body),
        ("https://example.com/in", None)
    );
    let response = Response {
        status: 204,
        headers: Vec::new(),
        body: Vec::new(),
        elapsed_ms: 1,
    };
    let step = channel
        .resume(&call("none"), &request.state, &Ok(response))
        .await
        .unwrap();
    let Step::Done(Ok(Outcome::Delivered(receipt))) = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        receipt.notes[0],
        ("state".to_owned(), "01JMESSAGE".to_owned())
    );

    let channel = plugin
        .bind_channel(binding("channel a", &[]), Duration::from_secs(60))
        .unwrap();
    let sent = channel.send(&call("none"), &message()).await.unwrap();
    let Outcome::Delivered(receipt) = sent else {
        panic!("{sent:?}")
    };
    assert_eq!(receipt.notes, [("size".to_owned(), "11".to_owned())]);
    let polled = channel.poll(&call("none"), "t-7").await.unwrap();
    let Ok(Outcome::Delivered(receipt)) = polled else {
        panic!("{polled:?}")
    };
    assert_eq!(receipt.notes, [("token".to_owned(), "t-7".to_owned())]);
    let polled = channel.poll(&call("refuse"), "t-7").await.unwrap();
    assert_eq!(polled.unwrap_err().code, "told-to");

    let annotator = plugin.bind_annotator(binding("channel a", &[])).unwrap();
    let ended = Outcome::Delivered(receipt);
    let noted = annotator
        .annotate(&call("none"), &message(), &ended)
        .await
        .unwrap()
        .unwrap();
    let expected = [("sent", r#"{"order":1}"#), ("ended", "delivered None")];
    assert_eq!(
        noted,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    let noted = annotator
        .annotate(&call("refuse"), &message(), &ended)
        .await
        .unwrap();
    assert_eq!(noted, Err("told to refuse".to_owned()));

    let post_event = plugin.bind_post_event(binding("hooks", &[])).unwrap();
    let event = Event {
        cursor: 1,
        message_id: "01JMESSAGE".to_owned(),
        delivery: None,
        channel: None,
        from_status: None,
        to_status: "unroutable".to_owned(),
        cause: "accepted".to_owned(),
        attempt: 0,
        at_ms: 1,
        attributes: vec![("misbehave".to_owned(), "refuse".to_owned())],
        notes: Vec::new(),
    };
    let handled = post_event
        .handle(std::slice::from_ref(&event))
        .await
        .unwrap();
    assert_eq!(handled, Err("told to refuse".to_owned()));
    assert_eq!(post_event.handle(&[]).await.unwrap(), Ok(()));
}

/// Every way to break a limit ends that call only, with a fault that says which limit and how much.
#[tokio::test]
async fn each_fault_is_typed_and_the_next_call_works() {
    let grants = Grants {
        timeout: Duration::from_millis(200),
        memory_max_bytes: 32 << 20,
        output_max_bytes: 1 << 20,
        ..Grants::default()
    };
    let plugin = misbehave(Options::default(), grants).await;
    let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
    for (mode, kind, words) in [
        (
            "trap",
            "trap",
            "trapped: wasm `unreachable` instruction executed",
        ),
        ("recurse", "trap", "trapped: call stack exhausted"),
        ("spin", "timeout", "ran longer than its limit of 200ms"),
        ("sleep", "timeout", "ran longer than its limit of 200ms"),
        (
            "endless-log",
            "timeout",
            "ran longer than its limit of 200ms",
        ),
        (
            "hog",
            "memory",
            "needed more memory than its limit of 32 MiB",
        ),
        ("exit", "exit", "exited with code 1 instead of returning"),
        (
            "giant",
            "output",
            "gave more than the output limit of 1 MiB",
        ),
        (
            "bad-text",
            "invalid",
            "gave data that the contract does not have: ",
        ),
        (
            "bad-place",
            "invalid",
            "gave data that the contract does not have: ",
        ),
    ] {
        let fault = converter
            .convert(&call(mode), &message())
            .await
            .unwrap_err();
        assert_eq!(fault.kind().as_str(), kind, "{mode}");
        assert!(fault.to_string().starts_with(words), "{mode}: {fault}");
        let next = converter.convert(&call("none"), &message()).await.unwrap();
        assert_eq!(next, Ok(message()), "after {mode}");
    }

    // A trap keeps what its author needs to find it.
    let fault = converter
        .convert(&call("trap"), &message())
        .await
        .unwrap_err();
    let detail = fault.detail().unwrap();
    assert!(
        detail.contains("misbehave") && detail.contains("told to trap"),
        "{detail}"
    );
}

/// A guest that computes lets the others run, also on a single thread, and a call that is given up half-way takes
/// its instance along.
#[tokio::test(flavor = "current_thread")]
async fn a_spinning_guest_yields_and_can_be_dropped() {
    let grants = Grants {
        timeout: Duration::from_secs(3600),
        ..Grants::default()
    };
    let plugin = misbehave(Options::default(), grants).await;
    let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
    for mode in ["spin", "sleep"] {
        let (call, message) = (call(mode), message());
        tokio::select! {
            biased;
            result = converter.convert(&call, &message) => panic!("{mode}: {result:?}"),
            () = tokio::time::sleep(Duration::from_millis(30)) => {}
        }
        assert_eq!(
            answer(&converter, "count").await,
            "1",
            "after a dropped {mode}"
        );
    }
}

/// Instances are reused between messages, and retire after so many calls or when they have grown.
#[tokio::test]
async fn instances_are_reused_and_retire() {
    let options = Options {
        calls_per_instance_max: 3,
        ..Options::default()
    };
    let grants = Grants {
        memory_max_bytes: 32 << 20,
        ..Grants::default()
    };
    let plugin = misbehave(options, grants).await;
    let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
    let mut counts = Vec::new();
    for _ in 0..7 {
        counts.push(answer(&converter, "count").await);
    }
    assert_eq!(counts, ["1", "2", "3", "1", "2", "3", "1"]);

    answer(&converter, "swell").await;
    assert_eq!(answer(&converter, "count").await, "1");
}

/// A guest that keeps its first secret for ever still signs each channel's messages with that channel's own, also
/// when the bindings compete for one place.
#[tokio::test]
async fn bindings_never_share_an_instance() {
    let options = Options {
        instances_max: 1,
        ..Options::default()
    };
    let (host, _dir) = host(
        options,
        Grants::default(),
        &[("cache-secret", "cache-secret")],
    )
    .await;
    let plugin = host.plugin("cache-secret").unwrap();
    let channels = ["a", "b"].map(|name| {
        let settings = [("url", "https://example.com/"), ("secret", name)];
        let channel = plugin
            .bind_request_channel(binding(name, &settings))
            .unwrap();
        (name, channel)
    });
    for _ in 0..5 {
        for (name, channel) in &channels {
            let step = channel
                .start(&call("none"), &Operation::Send(message()))
                .await
                .unwrap();
            let Step::Request(request) = step else {
                panic!("{step:?}")
            };
            assert_eq!(request.headers, [("x-secret".to_owned(), name.to_string())]);
        }
    }

    let error = plugin
        .bind_converter(binding("a", &[]))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugin `cache-secret` has no hook `converter`; it has `request-channel`"
    );
}

/// What every guest can import gives it nothing.
#[tokio::test]
async fn the_baseline_is_powerless() {
    let plugin = misbehave(Options::default(), Grants::default()).await;
    let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
    assert_eq!(answer(&converter, "pry").await, "open: ");
}

/// Many calls of several plugins and bindings get through a budget of one instance, and a plugin whose calls never
/// end leaves room for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tiny_budget_makes_progress() {
    let options = Options {
        instances_max: 1,
        ..Options::default()
    };
    let grants = Grants {
        timeout: Duration::from_secs(3600),
        ..Grants::default()
    };
    let (host, _dir) = host(
        options,
        grants,
        &[("greedy", "misbehave"), ("modest", "misbehave")],
    )
    .await;
    let bind = |plugin: &str, name: &str| {
        host.plugin(plugin)
            .unwrap()
            .bind_converter(binding(name, &[]))
            .unwrap()
    };
    let converters = [
        bind("greedy", "a"),
        bind("greedy", "b"),
        bind("modest", "a"),
    ];
    let calls: Vec<_> = (0..90)
        .map(|number| {
            let converter = converters[number % 3].clone();
            tokio::spawn(async move { answer(&converter, "nap").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }

    let [greedy, greedy_too, modest] = &converters;
    let (sleep, message) = (call("sleep"), message());
    tokio::select! {
        biased;
        result = greedy.convert(&sleep, &message) => panic!("{result:?}"),
        result = greedy_too.convert(&sleep, &message) => panic!("{result:?}"),
        answer = answer(modest, "none") => assert_eq!(answer, r#"{"order":1}"#),
    }
}

/// A call that finds no place waits for as long as a call may take, and then says that no guest was at fault.
#[tokio::test]
async fn waiting_for_a_place_ends() {
    let timeout = Duration::from_millis(100);
    let grants = Grants {
        timeout,
        instances_max: 1,
        ..Grants::default()
    };
    let plugin = misbehave(Options::default(), grants).await;
    let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
    let (sleep, message) = (call("sleep"), message());
    // Begun, and not driven any further: it keeps its place whatever the time.
    let mut begun = pin!(converter.convert(&sleep, &message));
    tokio::select! {
        biased;
        result = &mut begun => panic!("{result:?}"),
        () = std::future::ready(()) => {}
    }
    let fault = converter.convert(&sleep, &message).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Instances);
    assert!(!fault.guest_ran());
    assert_eq!(
        fault.to_string(),
        "could not be run: no instance came free within 100ms; \
         `plugins.misbehave.instances-max` is 1"
    );
}

/// What cannot be a plugin of this host is refused by name, with what to do, and stops nobody else.
#[tokio::test]
async fn bad_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("empty.wasm", b"");
    write("garbage.wasm", b"hello, world");
    write("core.wasm", b"\0asm\x01\0\0\0");
    write("torn.wasm", b"\0asm\x0d\0\x01\0\x07");
    write("notes.txt", b"not looked at");
    for name in ["misbehave", "old-draft", "wants-http"] {
        fs::copy(guest(name), dir.path().join(name).with_extension("wasm")).unwrap();
    }
    for name in ["pinned", "patient", "cramped"] {
        fs::copy(
            guest("misbehave"),
            dir.path().join(name).with_extension("wasm"),
        )
        .unwrap();
    }

    let host = Host::new(Options::default()).unwrap();
    let grants = |name: &str| match name {
        "pinned" => Grants {
            sha256: Some("00".repeat(32)),
            ..Grants::default()
        },
        "patient" => Grants {
            timeout: Duration::MAX,
            ..Grants::default()
        },
        "cramped" => Grants {
            memory_max_bytes: 64 << 10,
            ..Grants::default()
        },
        _ => Grants::default(),
    };
    let loaded = host.load_dir(dir.path(), grants).await;
    let errors: Vec<_> = loaded.into_iter().filter_map(Result::err).collect();
    for (name, words) in [
        (
            "core",
            "is not a WebAssembly component: it is a core module; build for wasm32-wasip2",
        ),
        (
            "cramped",
            "failed its trial run: needed more memory than its limit of 64 KiB",
        ),
        ("empty", "is not a WebAssembly component: the file is empty"),
        (
            "garbage",
            "is not a WebAssembly component: it does not start like WebAssembly",
        ),
        (
            "old-draft",
            "exports `wharf:delivery/converter@0.0.9`, this host speaks 0.1.0-draft.4",
        ),
        (
            "patient",
            "granted `timeout` is 18446744073709551615 s, the most is 3600 s",
        ),
        ("pinned", "but `sha256` pins 0000"),
        (
            "torn",
            "is not a WebAssembly component: the file is cut off",
        ),
        ("wants-http", "imports `wasi:http/"),
    ] {
        let error = errors
            .iter()
            .find(|error| error.plugin_name() == Some(name))
            .expect(name);
        let text = chain(error);
        assert!(
            text.contains(&format!("{name}.wasm")) && text.contains(words),
            "{text}"
        );
    }
    assert_eq!(errors.len(), 9);
    let http = errors
        .iter()
        .find(|error| error.plugin_name() == Some("wants-http"))
        .unwrap();
    assert!(
        chain(http).contains("`allow-http = [\"https://example.com\"]` in [plugins.wants-http]"),
        "{}",
        chain(http)
    );

    let names: Vec<_> = host.plugins().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["misbehave"]);
    let missing = host
        .load_dir(Path::new("/no/such/folder"), grants)
        .await
        .remove(0)
        .unwrap_err();
    assert!(matches!(missing.problem, LoadProblem::Read(_)));
}

/// Machine code is reused at the next start, compiled again when the file is damaged, and never taken from a folder
/// that others can write.
#[tokio::test]
async fn the_compile_cache_is_used_and_heals() {
    let cache = tempfile::tempdir().unwrap();
    let start = async |dir: &Path| {
        let options = Options {
            cache_dir: Some(dir.to_owned()),
            ..Options::default()
        };
        let plugin = misbehave(options, Grants::default()).await;
        let converter = plugin.bind_converter(binding("channel a", &[])).unwrap();
        assert_eq!(answer(&converter, "count").await, "1");
        plugin.info().from_cache
    };
    let files = |dir: &Path| -> Vec<_> {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let private = cache.path().join("private");
    assert!(!start(&private).await);
    assert!(start(&private).await);

    for damage in [
        |code: &mut Vec<u8>| code.truncate(100),
        |code: &mut Vec<u8>| code[4096] ^= 1,
    ] {
        let code = files(&private)
            .into_iter()
            .find(|path| path.extension().unwrap() == "cwasm");
        let code = code.unwrap();
        let mut content = fs::read(&code).unwrap();
        damage(&mut content);
        fs::remove_file(&code).unwrap();
        fs::write(&code, content).unwrap();
        assert!(!start(&private).await);
        assert!(start(&private).await);
    }

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let shared = cache.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!start(&shared).await);
        assert!(!start(&shared).await);
        assert!(files(&shared).is_empty());
    }
}
