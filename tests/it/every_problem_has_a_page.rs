use serde_json::{Value, json};
use wharf_testkit::process::{Answer, Host, eventually};

use crate::support::{JSON, SOON, guest, host, message, root, send, text, wait_for};

/// Problems that no request alone can cause: the store or the process has to fail.
const NOT_SHOWN: &[&str] = &["commit-unknown", "internal", "shutting-down"];

/// Goal: `type` of a problem is where the server has the code's page, which anyone can read; and the
/// example of each page is true: its request, made word by word, is answered with its problem.
#[test]
fn the_example_of_each_page_is_true() {
    let open = host("").start().unwrap();
    let closed = host("[api]\ntoken = { env = \"TOKEN\" }\n")
        .env("TOKEN", "s3cret")
        .start()
        .unwrap();
    let scoped = "[[api.token]]\nname = \"billing\"\ntoken = \"b1ll1ng\"\nscopes = [\"send\"]\n";
    let scoped = host(scoped).start().unwrap();
    let strict = "[api]\nrequire-idempotency = true\n";
    let strict = host(strict).start().unwrap();
    let full = "[store]\naccept-free = \"1000000TiB\"\n";
    let full = host(full).start().unwrap();
    let partners = ["partner-a", "partner-b"];
    let partners = partners.map(|name| {
        format!("[[channel]]\nname = \"{name}\"\nplugin = \"outcomes\"\nreceive = \"misbehave\"\n")
    });
    let route = "[[route]]\nname = \"orders\"\nmatch = { to = \"partners\" }\nchannels = [\"partner-a\", \"partner-b\"]\n";
    let operated = host(&(partners.concat() + route))
        .plugin("outcomes", guest("outcomes"))
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();
    send(&operated, &message("order-7", "partners"));
    wait_for(&operated, "order-7", "delivered");
    let first = r#"{"id":"order-7","payload":"hello"}"#;
    assert_eq!(crate::support::post(&open, first.as_bytes()).status, 202);
    let keyed = [JSON, ("idempotency-key", "taken-before")];
    let first = open.http("POST", "/v1/messages", &keyed, b"{}").unwrap();
    assert_eq!(first.status, 202);

    let pruned = "[store]\nretention = \"0s\"\n".to_owned()
        + "[[channel]]\nname = \"all\"\nplugin = \"outcomes\"\n"
        + "[[route]]\nname = \"all\"\nchannels = [\"all\"]\n";
    let pruned = host(&pruned)
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    send(&pruned, &message("order-6", "all"));
    let is_gone = || {
        let answer = pruned.http("GET", "/v1/messages/order-6", &[], b"");
        (answer.unwrap().status == 410).then_some(())
    };
    assert!(eventually(SOON, is_gone).is_some(), "{}", pruned.log());

    let broken = host("").start().unwrap();
    let to_nowhere = "[[channel]]\nname = \"partner-a\"\nplugin = \"outcomes\"\n".to_owned()
        + "[[route]]\nname = \"orders\"\nchannels = [\"partner\"]\n";
    broken.write("wharf.toml", to_nowhere).unwrap();

    let index = page(&closed, "/problems/");
    let mut tried = 0;
    for code in codes() {
        assert!(index.contains(&format!("[{code}]({code}.md)")), "{code}");
        let page = page(&closed, &format!("/problems/{code}"));
        assert_eq!(page, self::page(&closed, &format!("/problems/{code}.md")));
        if NOT_SHOWN.contains(&code.as_str()) {
            continue;
        }
        let request = example(&page, "http");
        let host = match code.as_str() {
            "unauthorized" => &closed,
            "forbidden" => &scoped,
            "idempotency-key-required" => &strict,
            "disk-low" => &full,
            "message-removed" => &pruned,
            "config-invalid" => &broken,
            "channel-not-found" | "not-cancellable" | "not-redrivable" | "receipt-refused"
            | "receiver-failed" => &operated,
            _ => &open,
        };
        let answer = make(host, &request);
        let expected: Value = serde_json::from_str(&example(&page, "json")).unwrap();
        let mut found = answer.json().unwrap();
        // A detail is shown up to where it becomes long.
        if let Some((start, _)) = text(&expected["detail"]).split_once('…') {
            assert!(text(&found["detail"]).starts_with(start), "{code}: {found}");
            found["detail"] = expected["detail"].clone();
        }
        assert_eq!(found, expected, "{code}");
        assert_eq!(expected["status"], answer.status, "{code}");
        assert_eq!(expected["type"], format!("/problems/{code}"));
        tried += 1;
    }
    assert!(tried > 10, "only {tried} examples were tried");

    for nothing in ["/problems/none", "/problems/README", "/problems/%ff"] {
        let answer = closed.http("GET", nothing, &[], b"").unwrap();
        assert_eq!(answer.json().unwrap()["code"], json!("not-found"));
    }
}

/// The code of every page in the repository.
fn codes() -> Vec<String> {
    let files = std::fs::read_dir(root("docs/problems")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| Some(name.strip_suffix(".md")?.to_owned()))
        .filter(|code| code != "README")
        .collect()
}

#[track_caller]
fn page(host: &Host, path: &str) -> String {
    let answer = host.http("GET", path, &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{path}");
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("text/markdown; charset=utf-8"), "{path}");
    answer.text()
}

/// The text of the block in this language.
#[track_caller]
fn example(page: &str, language: &str) -> String {
    let start = format!("```{language}\n");
    let (_, rest) = page.split_once(&start).expect("the block is there");
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// Makes a request that is written as HTTP writes it. `…` in the body stands for what is too long
/// to print: a number of MiB.
fn make(host: &Host, request: &str) -> Answer {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let body = body.replace("… 2 MiB …", &"x".repeat(2 << 20));
    host.http(method, path, &headers, body.as_bytes()).unwrap()
}
