use wharf_plugin::*;
#[tokio::test]
async fn bench() {
    let host = Host::new(Options::default()).unwrap();
    host.load(&wharf_testkit::guest("cache-secret"), |_| Grants::default()).await.unwrap();
    let c = host.plugin("cache-secret").unwrap().bind_request_channel(Binding::default()).unwrap();
    let call = Call { channel: "partner-a".into(), route: "orders".into(), message_id: "01JMESSAGE".into(), delivery: 7, idempotency_key: "01JMESSAGE".into(), attempt: 1, accepted_ms: 1, now_ms: 2, ordering_key: None, attributes: vec![], extra: vec![] };
    let w = Operation::Send(Wire { endpoint: None, headers: vec![("a".into(),"b".into());3], body: vec![1; 1024] });
    c.bench(&call, &w).await;
    for _ in 0..5 {
        let t = std::time::Instant::now();
        for _ in 0..100_000 { c.start(&call, &w).await.unwrap(); }
        println!("{:?} per call", t.elapsed() / 100_000);
    }
}
