use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use wharf_core::egress::UrlPattern;
use wharf_core::grant::HttpGrant;
use wharf_plugin::{
    Call, Channel, FaultKind, Grants, HttpAnswer, HttpNoAnswer, HttpNoAnswerKind, HttpRequest,
    HttpSender, Options, Outcome, PluginFault, Wire,
};

use crate::LONG;
use crate::support::{binding, call, host, message};

/// Stands for the network.
#[derive(Debug, Default)]
struct Wires {
    seen: Mutex<Vec<HttpRequest>>,
}

impl HttpSender for Wires {
    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpAnswer, HttpNoAnswer>> + Send>> {
        let path = request.uri.path().to_owned();
        self.seen.lock().unwrap().push(request);
        Box::pin(async move {
            match path.as_str() {
                "/silent" => std::future::pending().await,
                "/guarded" => Err(HttpNoAnswer {
                    kind: HttpNoAnswerKind::RefusedByGuard,
                    detail: "10.0.0.1 is private".to_owned(),
                }),
                _ => Ok(HttpAnswer {
                    status: http::StatusCode::CREATED,
                    headers: http::HeaderMap::new(),
                    body: Bytes::from_static(b"thanks"),
                }),
            }
        })
    }
}

/// A host with the guest that makes its own requests, a channel of it, and what it sent.
async fn wants_http(grants: Grants) -> (Channel, Arc<Wires>, TempDir) {
    let wires = Arc::new(Wires::default());
    let options = Options {
        http: Some(wires.clone()),
        ..Options::default()
    };
    let (host, dir) = host(options, grants, &[("wants-http", "wants-http")]).await;
    let plugin = host.plugin("wants-http").unwrap();
    let channel = plugin.bind_channel(binding("a", &[]), LONG).unwrap();
    (channel, wires, dir)
}

fn granted(url: &str) -> Grants {
    Grants {
        http: Some(HttpGrant {
            urls: vec![UrlPattern::parse(url).unwrap()],
            methods: Some(vec!["POST".to_owned(), "PUT".to_owned()]),
        }),
        ..Grants::default()
    }
}

fn told(attributes: &[(&str, &str)]) -> Call {
    let pairs = attributes.iter();
    let pairs = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Call {
        attributes: pairs.collect(),
        ..call("none")
    }
}

fn to(endpoint: &str) -> Wire {
    Wire {
        endpoint: Some(endpoint.to_owned()),
        ..message()
    }
}

/// The code's words and the notes of an attempt that is to be tried again.
#[track_caller]
fn failed(outcome: Outcome) -> (String, Vec<(String, String)>) {
    match outcome {
        Outcome::Retry(failure) => (failure.reason, failure.notes),
        other => panic!("{other:?}"),
    }
}

/// A granted request reaches the sender as the plugin made it, and its answer comes back whole.
#[tokio::test]
async fn a_granted_request_is_made() {
    let (channel, wires, _dir) = wants_http(granted("https://*.example.com")).await;
    let call = told(&[("first-byte-ms", "1500")]);
    let outcome = channel
        .send(&call, &to("https://a.example.com/in?x=1"))
        .await;
    let Ok(Outcome::Delivered(receipt)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(receipt.notes, [("201".to_owned(), "thanks".to_owned())]);

    let request = wires.seen.lock().unwrap().remove(0);
    assert_eq!(&*request.plugin, "wants-http");
    assert_eq!(request.method, "POST");
    assert_eq!(request.uri, "https://a.example.com/in?x=1");
    assert_eq!(request.headers["x-own"], "yes");
    assert_eq!(request.headers["host"], "a.example.com");
    assert_eq!(request.body, message().body);
    let timeouts = request.timeouts;
    assert_eq!(timeouts.first_byte, Some(Duration::from_millis(1500)));
    assert_eq!((timeouts.connect, timeouts.between_bytes), (None, None));
    assert!(timeouts.total <= LONG && timeouts.total > LONG / 2);
}

/// What was not granted is denied before anybody is asked; the note says which key would grant it, and shows no URL.
#[tokio::test]
async fn what_was_not_granted_is_denied() {
    let (channel, wires, _dir) = wants_http(granted("https://a.example.com")).await;
    for (call, endpoint, key) in [
        (
            told(&[]),
            "https://b.example.com/s3cret",
            "plugins.wants-http.allow-http ",
        ),
        (
            told(&[]),
            "http://a.example.com/s3cret",
            "plugins.wants-http.allow-http ",
        ),
        (
            told(&[]),
            "https://a.example.com:8443/s3cret",
            "plugins.wants-http.allow-http ",
        ),
        (
            told(&[("method", "DELETE")]),
            "https://a.example.com/s3cret",
            "plugins.wants-http.allow-http-methods ",
        ),
    ] {
        let (code, notes) = failed(channel.send(&call, &to(endpoint)).await.unwrap());
        assert!(code.contains("HttpRequestDenied"), "{code}");
        let [(name, why)] = &notes[..] else {
            panic!("{notes:?}")
        };
        assert_eq!(name, "http");
        assert!(why.contains(key) && !why.contains("s3cret"), "{why}");
    }
    assert!(wires.seen.lock().unwrap().is_empty());

    // What the sender refuses comes back as its kind, with its words beside.
    let (code, notes) = failed(
        channel
            .send(&told(&[]), &to("https://a.example.com/guarded"))
            .await
            .unwrap(),
    );
    assert!(code.contains("DestinationIpProhibited"), "{code}");
    assert_eq!(notes[0].1, "refused-by-guard: 10.0.0.1 is private");
}

/// More requests in flight than the limit are refused and counted; a guest that does not survive that has a fault
/// that names the limit; and either way the places come free again.
#[tokio::test]
async fn requests_in_flight_have_a_limit() {
    let grants = Grants {
        http_calls_max: 2,
        ..granted("https://a.example.com")
    };
    let (channel, _wires, _dir) = wants_http(grants).await;
    let silent = to("https://a.example.com/silent");
    for _ in 0..3 {
        let three = told(&[("times", "3")]);
        let (code, notes) = failed(channel.send(&three, &silent).await.unwrap());
        assert!(code.contains("ConnectionLimitReached"), "{code}");
        assert_eq!(
            notes[0].1,
            "connection-limit-reached: it had more HTTP calls in flight than its limit of 2"
        );
        let trapping = told(&[("times", "3"), ("on-error", "trap")]);
        let fault = channel.send(&trapping, &silent).await.unwrap_err();
        assert!(
            matches!(fault, PluginFault::HttpCalls { limit: 2, .. }),
            "{fault}"
        );
    }
    let faults = channel.plugin().stats().faults;
    assert!(
        matches!(faults[..], [(FaultKind::HttpCalls, count)] if count >= 6),
        "{faults:?}"
    );
    // What was given up ends when the runtime comes to it.
    let two = told(&[("times", "2")]);
    for _ in 0..100 {
        let outcome = channel.send(&two, &to("https://a.example.com/")).await;
        if let Ok(Outcome::Delivered(_)) = outcome {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the places did not come free");
}

/// A request's body counts as output.
#[tokio::test]
async fn a_request_body_has_a_limit() {
    let grants = Grants {
        output_max_bytes: 64 << 10,
        ..granted("https://a.example.com")
    };
    let (channel, wires, _dir) = wants_http(grants).await;
    let mut wire = to("https://a.example.com/");
    wire.body = vec![b'x'; 64 << 10];
    let outcome = channel.send(&told(&[]), &wire).await;
    assert!(matches!(outcome, Ok(Outcome::Delivered(_))), "{outcome:?}");
    wire.body.push(b'x');
    let (code, notes) = failed(channel.send(&told(&[]), &wire).await.unwrap());
    assert!(code.contains("HttpRequestBodySize"), "{code}");
    let note = "HTTP-request-body-size: it gave more than the output limit of 64 KiB";
    assert_eq!(notes[0].1, note);
    assert_eq!(channel.plugin().stats().faults, [(FaultKind::Output, 1)]);
    assert_eq!(wires.seen.lock().unwrap().len(), 1);
}
