use serde_json::{Value, json};
use wharf_testkit::process::{Host, shipped};
use wharf_testkit::sink::Sink;

use crate::folder::{digest, wait_until_loaded, wait_until_only_these_are_in_memory};
use crate::support::{attempts, channel, data, ended, guest, host, send, wait_for};

/// Goal: another component under the same file name changes the bytes on the wire, while the host
/// runs; binary and configuration stay as they are. The journal says which one made which bytes.
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
    let deliver = |host: &Host, id: &str, component: &[u8]| {
        send(
            host,
            &json!({ "id": id, "attributes": { "to": "a" }, "payload_json": star }),
        );
        wait_for(host, id, "delivered");
        let run = &attempts(host, id)[0]["hooks"][0];
        let used = (&run["hook"], &run["digest"]);
        assert_eq!(used, (&json!("converter shape"), &json!(digest(component))));
        let body = sink.requests().pop().unwrap().body;
        String::from_utf8(body.to_vec()).unwrap()
    };

    let (map, wrap) = (shipped("json-map"), guest("outcomes"));
    let mapped = r#"{"by":"Codertocat"}"#;
    assert_eq!(deliver(&host, "s1", &map), mapped);
    host.put_plugin("shape", &wrap).unwrap();
    wait_until_loaded(&host, "shape", &wrap);
    // Nothing more has to happen for the old one to go.
    wait_until_only_these_are_in_memory(&host, &[&shipped("http"), &wrap]);
    let wrapped = format!("wrapped:{star}");
    assert_eq!(deliver(&host, "s2", &wrap), wrapped);
    let (_, listed, _) = ended(host.cli(["plugin", "list"]).unwrap());
    let shape = listed.lines().find(|line| line.starts_with("shape"));
    let columns: Vec<_> = shape.unwrap().split_whitespace().collect();
    assert_eq!(
        columns[..4],
        [
            "shape",
            "loaded",
            "-",
            "converter,request-channel,annotator"
        ]
    );
    assert_eq!(columns[6], &digest(&wrap)[..12]);

    // And back, from the cache of compiled plugins; a start finds what is in the folder.
    host.put_plugin("shape", &map).unwrap();
    wait_until_loaded(&host, "shape", &map);
    assert_eq!(deliver(&host, "s3", &map), mapped);
    host.restart().unwrap();
    assert_eq!(deliver(&host, "s4", &map), mapped);
}
