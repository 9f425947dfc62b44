//! The whole conversion, from settings and message to the wire form.

use super::*;
use crate::settings::tests::read;

const ORDER: &str = r#"{"id": 7, "name": "<Ann & Bob>", "lines": [{"n": 2, "what": "tea"}, {"n": 1, "what": "cup"}],
    "amount": 1.50, "big": 18446744073709551615, "none": null, "secret": "hunter2"}"#;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn run(settings: &[(&str, &str)], body: &[u8]) -> Result<Wire, Fault> {
    let c = Call {
        channel: "partner-a".to_owned(),
        route: "all".to_owned(),
        message_id: "01J".to_owned(),
        delivery: 1,
        idempotency_key: "01J".to_owned(),
        attempt: 2,
        accepted_ms: 1_614_265_330_042,
        now_ms: 1_614_265_331_000,
        ordering_key: None,
        attributes: pairs(&[("type", "order"), ("tenant-id", "a?b&c")]),
        extra: vec![],
    };
    let msg = Wire {
        endpoint: Some("https://a.example".to_owned()),
        headers: pairs(&[
            ("Content-Type", "application/json"),
            ("X-A", "1"),
            ("x-a", "2"),
        ]),
        body: body.to_vec(),
    };
    convert(&read(settings).ok().unwrap(), c, msg)
}

/// The body that a template makes of the order.
#[track_caller]
fn check(template: &str, escape: &str, expected: &str) {
    let wire = run(&[("body", template), ("escape", escape)], ORDER.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(wire.body).unwrap(), expected);
}

/// Why a body's template fails on a message.
#[track_caller]
fn check_fault(template: &str, body: &[u8], code: &str, reason: &str) {
    let fault = run(&[("body", template)], body).unwrap_err();
    let said = match fault {
        Fault::Rejected(refusal) => (refusal.code, refusal.reason),
        Fault::Retry(failure) => (failure.code, failure.reason),
    };
    assert_eq!(said, (code.to_owned(), reason.to_owned()), "{template}");
}

#[test]
fn variables() {
    for (template, expected) in [
        (
            "{{ message.id }} {{ message.channel }} {{ message.route }} {{ message.attempt }}",
            "01J partner-a all 2",
        ),
        (
            "{{ message.accepted }} {{ message.now }}",
            "2021-02-25T15:02:10.042Z 2021-02-25T15:02:11.000Z",
        ),
        (
            "{{ message.ordering_key is defined }}, {{ message.ordering_key | default('no') }}",
            "False, no",
        ),
        (
            "{{ attributes.type }} {{ attributes['tenant-id'] | urlencode }}",
            "order a%3Fb%26c",
        ),
        (
            "{{ headers['content-type'] }} {{ headers['x-a'] }}",
            "application/json 1, 2",
        ),
        ("{{ body | length }} {{ body[:8] }}", "177 {\"id\": 7"),
        (
            "{{ json.id }} {{ json.amount }} {{ json.big }}",
            "7 1.5 18446744073709551615",
        ),
        ("{{ '%.2f' | format(json.amount) }}", "1.50"),
        (
            "{{ json.lines | tojson }}",
            r#"[{"n": 2, "what": "tea"}, {"n": 1, "what": "cup"}]"#,
        ),
        (
            "{% for line in json.lines %}{{ loop.index }}: {{ line.n }} x {{ line.what }}\n{% endfor %}",
            "1: 2 x tea\n2: 1 x cup\n",
        ),
        ("{% if json.none is none %}-{% endif %}\n", "-"),
    ] {
        check(template, "none", expected);
    }
}

/// The setting decides for the body, and a template can say otherwise.
#[test]
fn what_is_written_is_escaped_as_asked() {
    let template = "{{ json.name }} {{ json.none }} {{ json.id }}";
    check(template, "none", "<Ann & Bob> None 7");
    check(template, "html", "&lt;Ann &amp; Bob&gt; None 7");
    check(template, "json", r#""<Ann & Bob>" null 7"#);
    check("{{ json.name | safe }}", "html", "<Ann & Bob>");
    check(
        r#"{"order": {{ json.lines[0] }}, "by": {{ json.name }}}"#,
        "json",
        r#"{"order": {"n":2,"what":"tea"}, "by": "<Ann & Bob>"}"#,
    );
}

/// Endpoint and headers have templates of their own, which are never escaped; what has none stays.
#[test]
fn endpoint_headers_and_content_type() {
    let wire = run(&[("body", "x")], b"").unwrap();
    assert_eq!(
        wire,
        Wire {
            endpoint: Some("https://a.example".to_owned()),
            headers: pairs(&[
                ("X-A", "1"),
                ("x-a", "2"),
                ("content-type", "text/plain; charset=utf-8"),
            ]),
            body: b"x".to_vec(),
        }
    );

    let settings = [
        ("body", "<p>{{ json.name }}"),
        ("escape", "html"),
        ("content-type", "text/html"),
        ("endpoint", "https://b.example/{{ json.name | urlencode }}"),
        (
            "headers",
            r#"{"X-A": "{{ json.name }}", "x-b": "{{ message.id }}\n"}"#,
        ),
    ];
    let wire = run(&settings, ORDER.as_bytes()).unwrap();
    assert_eq!(
        wire,
        Wire {
            endpoint: Some("https://b.example/%3CAnn%20%26%20Bob%3E".to_owned()),
            headers: pairs(&[
                ("content-type", "text/html"),
                ("X-A", "<Ann & Bob>"),
                ("x-b", "01J"),
            ]),
            body: b"<p>&lt;Ann &amp; Bob&gt;".to_vec(),
        }
    );

    let wire = run(&[("body", ""), ("endpoint", "")], b"").unwrap();
    assert_eq!(wire.endpoint, None);
}

/// Each says where and why in the words of the template. Details of the engine that would show
/// values of the message (`hunter2`, `99`) are left out.
#[test]
fn a_template_that_fails_on_a_message() {
    let failed = "template-failed";
    for (template, reason) in [
        ("{{ json.total }}", "line 1: `json.total` is undefined"),
        (
            "a\nb {{ json.order.total }}",
            "line 2: `json.order` is undefined",
        ),
        ("{{ json['a b'].c }}", "line 1: `json['a b']` is undefined"),
        (
            "{% if json.total %}{% endif %}",
            "line 1: `json.total` is undefined",
        ),
        (
            "{% for x in json.xs %}{% endfor %}",
            "line 1: `json.xs` is undefined",
        ),
        (
            "{% for x in json.lines %}{{ x.price }}{% endfor %}",
            "line 1: `x.price` is undefined",
        ),
        (
            "{{ attributes.nope }}",
            "line 1: `attributes.nope` is undefined",
        ),
        ("{{ nope }}", "line 1: `nope` is undefined"),
        (
            "{{ json.id // 0 }}",
            "line 1: invalid operation in `json.id // 0`",
        ),
        (
            "{{ json.secret + 1 }}",
            "line 1: invalid operation in `json.secret + 1`",
        ),
        (
            "{{ json.secret | int }}",
            "line 1: invalid operation in `json.secret | int`",
        ),
        (
            "{{ json.secret.trim() }}",
            "line 1: unknown method in `json.secret.trim()`",
        ),
        (
            "{{ json.id | join }}",
            "line 1: invalid operation in `json.id | join`",
        ),
        (
            "{% set a, b = json.secret %}",
            "line 1: cannot unpack in `set a, b`",
        ),
    ] {
        check_fault(
            template,
            ORDER.as_bytes(),
            failed,
            &format!("template `body`, {reason}"),
        );
    }
    // Filters that would write something else for it.
    for filter in ["tojson", "urlencode", "e", "escape", "upper", "join"] {
        let template = format!("{{{{ json.a | {filter} }}}}");
        let fault = run(&[("body", &template)], b"{}").unwrap_err();
        assert!(
            matches!(&fault, Fault::Rejected(refusal) if refusal.reason.contains("`json.a")
                && refusal.reason.contains("undefined")),
            "{filter}: {fault:?}"
        );
    }
    // Of a long expression, the end.
    let long = format!("{{{{ 'é' ~ 'é{}' ~ json.id // 0 }}}}", "é".repeat(80));
    let end = format!("{}' ~ json.id // 0", "é".repeat(80 - 16));
    let reason = format!("template `body`, line 1: invalid operation in `{end}`");
    check_fault(&long, ORDER.as_bytes(), failed, &reason);

    // The body is not text, or not JSON.
    check_fault(
        "{{ body }}",
        b"\xff",
        failed,
        "template `body`, line 1: `body` is undefined",
    );
    check_fault(
        "{{ json.a }}",
        b"{",
        failed,
        "template `body`, line 1: `json` is undefined",
    );

    let settings = [("body", ""), ("headers", r#"{"x-a": "{{ json.total }}"}"#)];
    let Err(Fault::Rejected(refusal)) = run(&settings, b"{}") else {
        panic!()
    };
    assert_eq!(
        refusal.reason,
        "template `headers.x-a`, line 1: `json.total` is undefined"
    );
}

/// The template is wrong, not the message: a new setting helps, so the message waits.
#[test]
fn what_no_template_has_is_a_bad_setting() {
    for (template, reason) in [
        ("{{ body | nope }}", "filter nope is unknown"),
        ("{{ body is nope }}", "test nope is unknown"),
        ("{{ nope() }}", "nope is unknown"),
    ] {
        let reason = format!("template `body`, line 1: {reason}");
        check_fault(template, b"", "bad-setting", &reason);
    }
}

/// Neither the message nor the template decides how long a call takes and how much memory.
#[test]
fn a_template_ends() {
    let limit = "template-limit";
    let out_of_fuel = "template `body`: it takes more steps, or makes more text, than it may";
    for template in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 99999999 }}",
        "{% set ns = namespace(x='x') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ] {
        let fault = run(&[("body", template)], b"").unwrap_err();
        let Fault::Rejected(refusal) = fault else {
            panic!("{fault:?}")
        };
        assert_eq!(refusal.code, limit);
        assert!(
            refusal.reason.ends_with(&out_of_fuel[15..]),
            "{}",
            refusal.reason
        );
    }
    // A whole payload of the default largest size, line by line, is far from that.
    let line = r#"{"number": 1234567, "what": "black tea", "each": 3.25}"#;
    let lines = format!("[{}]", vec![line; (1 << 20) / (line.len() + 1)].join(","));
    let template = "{% for line in json %}{{ loop.index }}: {{ line.number }} x {{ line.what | upper }} at {{ line.each }}\n{% endfor %}";
    let made = run(&[("body", template)], lines.as_bytes()).unwrap().body;
    assert!(made.ends_with(b"\n19065: 1234567 x BLACK TEA at 3.25\n"));

    let body = "template `body`: it makes more than 16777216 bytes";
    check_fault("{{ 'x' * 16777217 }}", b"", limit, body);
    let wire = run(&[("body", "{{ 'x' * 16777216 }}")], b"").unwrap();
    assert_eq!(wire.body.len(), BODY_BYTES_MAX);

    for (key, template, name) in [
        ("endpoint", "{{ 'x' * 8193 }}", "endpoint"),
        ("headers", r#"{"x": "{{ 'x' * 8193 }}"}"#, "headers.x"),
    ] {
        let Err(Fault::Rejected(refusal)) = run(&[("body", ""), (key, template)], b"") else {
            panic!()
        };
        let reason = format!("template `{name}`: it makes more than 8192 bytes");
        assert_eq!((refusal.code.as_str(), refusal.reason), (limit, reason));
    }
}

/// A value of the message cannot add a header.
#[test]
fn a_header_is_one_line() {
    let settings = [("body", ""), ("headers", r#"{"x": "{{ body }}"}"#)];
    let Err(Fault::Rejected(refusal)) = run(&settings, b"a\r\ny: evil") else {
        panic!()
    };
    assert_eq!(refusal.code, "bad-header");
    assert!(refusal.reason.contains("`headers.x`") && !refusal.reason.contains("evil"));
}
