use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use wharf_testkit::process::exchange;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{SOON, channel, get, host, message, post, send, steps, wait_for};

/// Goal: SIGTERM lets what is in flight end, settles it, and ends with status 0; what had not begun
/// is sent at the next start. A sender that does not stop is refused at some point: what it was
/// answered 202 until then is kept too. Nothing is lost and nothing comes twice.
#[test]
fn what_is_in_flight_ends_and_what_was_answered_is_kept() {
    let sink = Sink::start().unwrap();
    sink.otherwise(Answer::status(200).after(Duration::from_millis(700)));
    let config = channel("a", &sink.url("/"), "parallelism = 4");
    let mut host = host(&config).shipped("http").start().unwrap();
    for n in 0..10 {
        send(&host, &message(&format!("m{n}"), "a"));
    }
    sink.wait_for_count(SOON, 4).unwrap();
    let address = host.address();
    let (status, answered) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_until_refused(address));
        (host.terminate().unwrap(), sender.join().unwrap())
    });
    assert!(status.success(), "{status}");
    let begun = sink.count() as usize;
    assert!(
        (4..10 + answered).contains(&begun),
        "{begun} were in flight or done"
    );

    sink.otherwise(Answer::status(200));
    host.restart().unwrap();
    let ids = (0..10).map(|n| format!("m{n}"));
    let mut ids: Vec<String> = ids
        .chain((0..answered).map(|n| format!("late{n}")))
        .collect();
    for id in &ids {
        wait_for(&host, id, "delivered");
        assert_eq!(steps(&host, id), ["queued accepted", "delivered sent"]);
    }
    let requests = sink.requests();
    let mut arrived: Vec<_> = requests
        .iter()
        .map(|r| r.header("webhook-id").unwrap())
        .collect();
    arrived.sort_unstable();
    ids.sort_unstable();
    assert_eq!(arrived, ids, "each came once");
    assert_eq!(sink.in_flight_max(), 4);
}

/// Sends one message after another, and says how many were answered 202.
fn send_until_refused(address: SocketAddr) -> usize {
    let headers = [("content-type", "application/json")];
    for n in 0.. {
        let body = message(&format!("late{n}"), "a").to_string();
        match exchange(address, "POST", "/v1/messages", &headers, body.as_bytes()) {
            Ok(answer) if answer.status == 202 => {}
            Ok(answer) => {
                assert_eq!(answer.json().unwrap()["code"], "shutting-down");
                return n;
            }
            Err(_closed) => return n,
        }
    }
    unreachable!("it goes on until it is refused")
}

/// Goal: a receiver that never answers, and a client that never finishes its request, hold a stop up
/// no longer than the drain's deadline; the message is not lost.
#[test]
fn the_deadline_holds() {
    let sink = Sink::start().unwrap();
    sink.script("/", [Answer::silence(), Answer::status(200)]);
    let config = channel("a", &sink.url("/"), "") + "[api]\ndrain-timeout = \"300ms\"\n";
    let mut host = host(&config).shipped("http").start().unwrap();
    let mut client = TcpStream::connect(host.address()).unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    client.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        post(&host, message("m1", "a").to_string().as_bytes()).status,
        202
    );
    sink.wait_for_count(SOON, 1).unwrap();
    assert_eq!(get(&host, "m1")["status"], "sending");

    let status = host.terminate().unwrap();
    assert!(status.success(), "{status}");
    drop(client);
    host.restart().unwrap();
    wait_for(&host, "m1", "delivered");
    let ids = sink
        .requests()
        .into_iter()
        .map(|r| json!(r.header("webhook-id")));
    assert_eq!(ids.collect::<Vec<_>>(), ["m1", "m1"]);
}
