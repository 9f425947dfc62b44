use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;
use wharf_testkit::process::{Answer, Host};
use wharf_testkit::sink::Sink;

use crate::support::{JSON, NDJSON, SOON, channel, host, message, post, text, wait_for};

/// Goal: a body in any of the codings is the same message as the plain one, alone and in a batch.
#[test]
fn what_unfolds_is_what_counts() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    let body = message("m1", "a").to_string();
    assert_eq!(post(&host, body.as_bytes()).status, 202);
    for (coding, bytes) in encoded(body.as_bytes()) {
        let answer = send(&host, "/v1/messages", JSON, coding, &bytes);
        assert_eq!(answer.status, 202, "{coding}: {}", answer.text());
        assert_eq!(answer.json().unwrap()["duplicate"], true, "{coding}");
    }
    wait_for(&host, "m1", "delivered");

    let batch: String = (0..1000)
        .map(|n| format!("{}\n", message(&format!("b{n}"), "a")))
        .collect();
    for (coding, bytes) in encoded(batch.as_bytes()) {
        assert!(bytes.len() * 3 < batch.len(), "{coding}");
        let answer = send(&host, "/v1/messages/batch", NDJSON, coding, &bytes);
        let text = answer.text();
        assert_eq!(text.lines().count(), 1000, "{coding}: {text}");
        assert_eq!(text.matches("\"status\":202").count(), 1000, "{coding}");
    }
    sink.wait_for_count(SOON, 1001).unwrap();
}

/// Goal (A4): a bomb is refused at the limit and not unfolded further; what is broken, or compressed
/// in another way, is refused by name; nothing of it is stored.
#[test]
fn a_bomb_is_refused_at_the_limit() {
    let host = host("[api]\npayload-max = \"64KiB\"\n").start().unwrap();
    // 1 GiB of blanks, which would be a message: a few hundred KiB in zstd.
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    bomb.write_all(b"{\"id\":\"bad\"").unwrap();
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        bomb.write_all(&blanks).unwrap();
    }
    bomb.write_all(b"}").unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 18, "{}", bomb.len());
    let before = peak_bytes(&host);
    check_refused(&host, "zstd", &bomb, 413, "payload-too-large", "body");
    let grown = peak_bytes(&host) - before;
    assert!(grown < 256 << 20, "unfolding took {grown} bytes");

    let body = json!({ "id": "bad", "payload": "x".repeat(1 << 16) }).to_string();
    for (coding, bytes) in encoded(body.as_bytes()) {
        // Its payload is one that is taken, so that only the coding is at fault.
        let cut = &bytes[..bytes.len() - 1];
        check_refused(&host, coding, cut, 400, "malformed-body", "body");
        let plain = body.as_bytes();
        check_refused(&host, coding, plain, 400, "malformed-body", "body");
    }
    let over = json!({ "id": "bad", "payload": "x".repeat((1 << 16) + 1) }).to_string();
    for (coding, bytes) in encoded(over.as_bytes()) {
        check_refused(&host, coding, &bytes, 413, "payload-too-large", "payload");
    }
    for coding in ["br", "gzip, gzip", "x"] {
        let code = "unsupported-content-encoding";
        let answer = check_refused(&host, coding, b"{}", 415, code, "content-encoding");
        let taken = answer.header("accept-encoding");
        assert_eq!(taken, Some("gzip, deflate, zstd"), "{coding}");
        let detail = answer.json().unwrap()["detail"].clone();
        assert!(text(&detail).contains(&format!("{coding:?}")), "{detail}");
    }
}

fn encoded(plain: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(plain).unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(plain).unwrap();
    [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", deflate.finish().unwrap()),
        ("zstd", zstd::encode_all(plain, 1).unwrap()),
    ]
}

fn send(host: &Host, path: &str, form: (&str, &str), coding: &str, body: &[u8]) -> Answer {
    let headers = [form, ("content-encoding", coding)];
    host.http("POST", path, &headers, body).unwrap()
}

#[track_caller]
fn check_refused(
    host: &Host,
    coding: &str,
    body: &[u8],
    status: u16,
    code: &str,
    field: &str,
) -> Answer {
    let answer = send(host, "/v1/messages", JSON, coding, body);
    let problem = answer.json().unwrap();
    let found = (
        answer.status,
        text(&problem["code"]),
        text(&problem["field"]),
    );
    assert_eq!(found, (status, code, field), "{coding}: {problem}");
    let stored = host.http("GET", "/v1/messages/bad", &[], b"").unwrap();
    assert_eq!(stored.status, 404, "{coding}");
    answer
}

/// The most memory that the server ever had resident; 0 where the system does not tell.
fn peak_bytes(host: &Host) -> usize {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", host.pid())) else {
        return 0;
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() << 10
}
