use std::fs::OpenOptions;
use std::io::Write as _;

use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::folder::{
    reason, version, wait_until_healthy, wait_until_loaded, wait_until_passed_over,
};
use crate::support::{assert_has, channel, guest, host, message, send, wait_for};

/// Goal: a copy that stops half-way is no plugin, and the last good one goes on; when the rest
/// comes, in the same file, it counts. Pieces that follow each other are one copy.
#[test]
fn what_is_written_in_pieces_counts_in_the_end() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "convert = [\"shape\"]");
    let old = guest("outcomes");
    let new = version(&old, "wrapped:", "newer--:");
    let host = host(&config)
        .shipped("http")
        .plugin("shape", &*old)
        .start()
        .unwrap();
    let (first, rest) = new.split_at(new.len() / 2);

    write(&host, first, true);
    let torn = wait_until_passed_over(&host, "shape", "refused", first, &old);
    assert_has(
        torn["reason"].as_str().unwrap(),
        &["the file is cut off; copy it again"],
    );
    assert_has(&reason(&host, "shape.wasm"), &["cut off", "goes on"]);
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "delivered");
    assert_eq!(&*sink.requests().pop().unwrap().body, b"wrapped:m1");

    write(&host, rest, false);
    wait_until_loaded(&host, "shape", &new);
    wait_until_healthy(&host);
    send(&host, &message("m2", "a"));
    wait_for(&host, "m2", "delivered");
    assert_eq!(&*sink.requests().pop().unwrap().body, b"newer--:m2");

    // As `cp` writes, over the file that is there.
    for (number, piece) in old.chunks(old.len() / 20).enumerate() {
        write(&host, piece, number == 0);
    }
    wait_until_loaded(&host, "shape", &old);
    wait_until_healthy(&host);
}

/// Writes into the file itself, at its beginning or at its end.
fn write(host: &Host, piece: &[u8], begin: bool) {
    let path = host.path("plugins/shape.wasm");
    let mut options = OpenOptions::new();
    options.write(true).truncate(begin).append(!begin);
    options.open(path).unwrap().write_all(piece).unwrap();
}
