use std::pin::pin;
use std::time::Duration;

use wharf_plugin::{CallStats, FaultKind, Grants, Hook, LATENCY_BUCKETS, Options};

use crate::support::{answer, binding, call, host, message};

/// Calls, faults and instances are counted by plugin, and the counts outlive the file that was loaded.
#[tokio::test]
async fn what_happens_is_counted() {
    let options = Options {
        calls_per_instance_max: 3,
        ..Options::default()
    };
    let grants = Grants {
        log_lines_per_second: 10,
        timeout: Duration::from_millis(300),
        ..Grants::default()
    };
    let (host, dir) = host(options, grants.clone(), &[("misbehave", "misbehave")]).await;
    let plugin = host.plugin("misbehave").unwrap();
    assert_eq!(plugin.stats().calls, []);
    let converter = plugin.bind_converter(binding("a", &[])).unwrap();
    for _ in 0..7 {
        answer(&converter, "none").await;
    }
    let stats = plugin.stats();
    let [
        (
            Hook::Converter,
            CallStats {
                count,
                sum,
                buckets,
            },
        ),
    ] = stats.calls[..]
    else {
        panic!("{stats:?}")
    };
    assert_eq!((count, buckets.iter().sum()), (7, 7));
    assert!(sum > Duration::ZERO && sum < LATENCY_BUCKETS[6]);
    assert_eq!((stats.instances_live, stats.instances_retired), (1, 2));

    // A call that is given up is no call; its instance is gone.
    let (sleep, wire) = (call("sleep"), message());
    let mut given_up = pin!(converter.convert(&sleep, &wire));
    tokio::select! {
        biased;
        result = &mut given_up => panic!("{result:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(plugin.stats().instances_live, 1);

    for mode in ["trap", "endless-log"] {
        converter
            .convert(&call(mode), &message())
            .await
            .unwrap_err();
    }
    host.load(&dir.path().join("misbehave.wasm"), |_| grants.clone())
        .await
        .unwrap();
    let all = host.stats();
    assert_eq!(all[0].0, "misbehave");
    let stats = host.plugin("misbehave").unwrap().stats();
    assert_eq!(
        stats.faults,
        [(FaultKind::Trap, 1), (FaultKind::Timeout, 1)]
    );
    assert!(stats.log_lines_dropped > 0);
    assert_eq!(stats.calls[0].1.count, 9);
}
