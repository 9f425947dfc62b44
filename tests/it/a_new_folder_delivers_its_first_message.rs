use wharf_testkit::process::HostBuilder;
use wharf_testkit::sink::Sink;

use crate::support::{SOON, assert_has, data, ended, wait_for};

/// Goal: the first minute of a user: a folder from `init`, `serve`, `send` a file, `why`.
#[test]
fn init_serve_send_why() {
    let sink = Sink::start().unwrap();
    let builder = HostBuilder::new("").env("WHARF_CONFIG", "shop/wharf.toml");
    let mut host = builder
        .env("WHARF_API_LISTEN", "127.0.0.1:0")
        .build()
        .unwrap();
    let (code, said, error) = ended(host.cli(["init", "shop"]).unwrap());
    assert_eq!(code, 0, "{error}");
    assert_has(&said, &["shop/wharf.toml", "wharf serve"]);
    let config = std::fs::read_to_string(host.path("shop/wharf.toml")).unwrap();
    let here = config.replace("http://127.0.0.1:8080/", &sink.url("/in"));
    assert_ne!(config, here);
    host.write("shop/wharf.toml", here).unwrap();
    host.write("order.json", data("vendor-events/stripe/invoice.json"))
        .unwrap();

    host.restart().unwrap();
    let send = [
        "send",
        "--attr",
        "type=order.created",
        "--file",
        "order.json",
    ];
    let (code, id, error) = ended(host.cli(send).unwrap());
    assert_eq!(
        (code, id.trim().len(), error.as_str()),
        (0, 26, ""),
        "a ULID on a line"
    );
    let request = sink
        .wait_until(SOON, |requests| requests.len() == 1)
        .unwrap()
        .remove(0);
    assert_eq!(request.body, data("vendor-events/stripe/invoice.json"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-wharf-message-id"), Some(id.trim()));
    wait_for(&host, id.trim(), "delivered");
    let (code, why, _) = ended(host.cli(["why", id.trim()]).unwrap());
    assert_eq!(code, 0);
    assert_has(
        &why,
        &[
            "is delivered",
            "channel local, by route everything",
            "queued → delivered",
            "next: nothing",
        ],
    );

    // Never overwritten.
    let (code, _, error) = ended(host.cli(["init", "shop"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["shop/wharf.toml is there already", "try: "]);
}
