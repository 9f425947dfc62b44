//! What guests write, in a process of its own: tracing knows one subscriber for all threads.

use std::sync::{Arc, Mutex};

use wharf_plugin::{Binding, Call, Grants, Host, Options, Wire};
use wharf_testkit::guest;

/// What a guest logs comes out under the plugin's name with the call that was running, and cannot forge a line.
#[tokio::test]
async fn a_guest_logs_under_its_call() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let host = Host::new(Options::default()).unwrap();
    host.load(&guest("misbehave"), |_| Grants::default())
        .await
        .unwrap();
    let binding = Binding {
        name: "channel a".to_owned(),
        settings: vec![("secret".to_owned(), "hunter2".to_owned())],
    };
    let converter = host
        .plugin("misbehave")
        .unwrap()
        .bind_converter(binding)
        .unwrap();
    let message = Wire {
        endpoint: None,
        headers: Vec::new(),
        body: b"hello, world".to_vec(),
    };
    converter
        .convert(&call("none"), &message)
        .await
        .unwrap()
        .unwrap();
    converter
        .convert(&call("trap"), &message)
        .await
        .unwrap_err();

    let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    let line = lines
        .lines()
        .find(|line| line.contains("converting"))
        .expect(&lines);
    for part in [
        "DEBUG wharf::plugin",
        r#"plugin="misbehave""#,
        r#"binding="channel a""#,
        r#"channel="partner-a""#,
        r#"message_id="01JMESSAGE""#,
        "delivery=7",
        r#"fields="size=12""#,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(
        lines
            .lines()
            .any(|line| line.contains("WARN") && line.contains("told to trap"))
    );
    assert!(!lines.contains("hunter2"));
}

#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn call(mode: &str) -> Call {
    Call {
        channel: "partner-a".to_owned(),
        route: "orders".to_owned(),
        message_id: "01JMESSAGE".to_owned(),
        delivery: 7,
        idempotency_key: "01JMESSAGE".to_owned(),
        attempt: 1,
        accepted_ms: 1,
        now_ms: 2,
        ordering_key: None,
        attributes: vec![("misbehave".to_owned(), mode.to_owned())],
        extra: Vec::new(),
    }
}
