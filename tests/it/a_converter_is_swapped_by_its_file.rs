use serde_json::{Value, json};
use wharf_testkit::process::shipped;
use wharf_testkit::sink::Sink;

use crate::support::{attempts, channel, data, ended, guest, host, send, wait_for};

/// Goal: another component under the same file name changes the bytes on the wire at the next start;
/// binary and configuration stay as they are. The journal says which one made which bytes.
#[test]
fn another_file_makes_other_bytes() {
    let sink = Sink::start().unwrap();
    let convert =
        r#"convert = [{ plugin = "shape", config = { map = { by = "/sender/login" } } }]"#;
    let config = channel("a", &sink.url("/"), convert);
    let builder = host(&config).shipped("http");
    let mut host = builder
        .plugin("shape", shipped("json-map"))
        .start()
        .unwrap();
    let star: Value = serde_json::from_str(&data("github-webhooks/star.created.json")).unwrap();
    let deliver = |host: &wharf_testkit::process::Host, id: &str| {
        send(
            host,
            &json!({ "id": id, "attributes": { "to": "a" }, "payload_json": star }),
        );
        wait_for(host, id, "delivered");
        let body = sink.requests().pop().unwrap().body;
        let run = attempts(host, id)[0]["hooks"][0].clone();
        let digest = json!([run["hook"], run["digest"]]);
        (String::from_utf8(body.to_vec()).unwrap(), digest)
    };

    let (first, first_digest) = deliver(&host, "s1");
    assert_eq!(first, r#"{"by":"Codertocat"}"#);
    host.put_plugin("shape", guest("outcomes")).unwrap();
    host.restart().unwrap();
    let (second, second_digest) = deliver(&host, "s2");
    assert_eq!(second, format!("wrapped:{star}"));
    assert_eq!(
        (&first_digest[0], &second_digest[0]),
        (&json!("converter shape"), &json!("converter shape"))
    );
    assert_ne!(first_digest[1], second_digest[1]);

    let (_, listed, _) = ended(host.cli(["plugin", "list", "--json"]).unwrap());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let shape = listed["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "shape")
        .unwrap();
    assert_eq!(shape["digest"], second_digest[1]);

    // And back: the first one comes from the cache of compiled plugins now.
    host.put_plugin("shape", shipped("json-map")).unwrap();
    host.restart().unwrap();
    assert_eq!(deliver(&host, "s3"), (first, first_digest));
}
