use std::time::Duration;

use wharf_plugin::{FaultKind, Grants, Operation, Options, Outcome};

use crate::LONG;
use crate::support::{binding, call, message, misbehave};

/// A channel may wait for longer than it may compute, and each of the two has its limit.
#[tokio::test]
async fn a_channel_waits_but_does_not_spin() {
    let grants = Grants {
        timeout: Duration::from_millis(500),
        ..Grants::default()
    };
    let plugin = misbehave(Options::default(), grants).await;
    let patient = plugin.bind_channel(binding("a", &[]), LONG).unwrap();
    let short = Duration::from_millis(200);
    let hurried = plugin.bind_channel(binding("b", &[]), short).unwrap();

    let dozed = patient.send(&call("doze"), &message()).await;
    assert!(matches!(dozed, Ok(Outcome::Delivered(_))), "{dozed:?}");
    for (channel, mode, kind, words) in [
        (
            &patient,
            "spin",
            FaultKind::Computing,
            "computed for longer than its limit of 500ms",
        ),
        (
            &hurried,
            "sleep",
            FaultKind::Timeout,
            "ran longer than its limit of 200ms",
        ),
        (
            &hurried,
            "spin",
            FaultKind::Timeout,
            "ran longer than its limit of 200ms",
        ),
        (
            &patient,
            "trap",
            FaultKind::Trap,
            "trapped: wasm `unreachable` instruction executed",
        ),
    ] {
        let fault = channel.send(&call(mode), &message()).await.unwrap_err();
        assert_eq!((fault.kind(), fault.to_string().as_str()), (kind, words));
        let next = channel.send(&call("none"), &message()).await;
        assert!(
            matches!(next, Ok(Outcome::Delivered(_))),
            "after {mode}: {next:?}"
        );
    }
}

/// Calls that compute for long take turns; one that has begun to wait does not keep its turn from the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_keeps_nobody_from_computing() {
    let plugin = misbehave(Options::default(), Grants::default()).await;
    let channel = plugin.bind_channel(binding("a", &[]), LONG).unwrap();
    let converter = plugin.bind_converter(binding("a", &[])).unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    let toiling: Vec<_> = (0..processors)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { channel.send(&call("toil"), &message()).await })
        })
        .collect();
    for _ in 0..10 {
        let worked = converter.convert(&call("work"), &message()).await;
        assert_eq!(worked.unwrap(), Ok(message()));
    }
    for toil in toiling {
        assert!(!toil.is_finished());
        toil.abort();
    }
}

/// What a channel gives that no host can keep is its fault, named with the limit, and its next call works.
#[tokio::test]
async fn a_channel_that_lies_is_found_out() {
    let plugin = misbehave(Options::default(), Grants::default()).await;
    let request = plugin.bind_request_channel(binding("a", &[])).unwrap();
    let own = plugin.bind_channel(binding("a", &[]), LONG).unwrap();
    let send = || Operation::Send(message());

    let fault = request
        .start(&call("big-state"), &send())
        .await
        .unwrap_err();
    assert_eq!(
        fault.to_string(),
        "asked to keep 65537 bytes of state, the limit is 64 KiB"
    );
    for fault in [
        request
            .start(&call("long-token"), &send())
            .await
            .unwrap_err(),
        own.send(&call("long-token"), &message()).await.unwrap_err(),
    ] {
        assert_eq!(
            fault.to_string(),
            "gave a token of 4097 bytes, the limit is 4 KiB"
        );
    }
    let fault = request.too_many_requests(4);
    assert_eq!(
        fault.to_string(),
        "asked for more exchanges in one attempt than the limit of 4"
    );
    assert_eq!(
        plugin.stats().faults,
        [
            (FaultKind::State, 1),
            (FaultKind::Requests, 1),
            (FaultKind::Token, 2)
        ]
    );
    assert!(request.start(&call("none"), &send()).await.is_ok());
}
