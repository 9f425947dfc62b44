use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use wharf_testkit::process::{Host, HostBuilder};

use crate::support::{SOON, assert_has, attempts, channel, ended, message, send, text, wait_for};

const RETRY: &str = "retry = { schedule = [\"10ms\"], jitter = 0.0 }";

/// An authority and what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate, key }
    }
}

/// A receiver over TLS that answers 200 to everything and tells of every request whether its sender showed a
/// certificate. It ends with the process.
struct TlsSink {
    address: SocketAddr,
    shown: Receiver<Option<CertificateDer<'static>>>,
}

/// Whether senders must show a certificate, may, or are not asked.
enum Asks {
    Must,
    May,
    Never,
}

impl TlsSink {
    fn start(authority: &Authority, asks: &Asks) -> Self {
        let identity = authority.issue("127.0.0.1");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let verifier = match asks {
            Asks::Must => verifier.build().unwrap(),
            Asks::May => verifier.allow_unauthenticated().build().unwrap(),
            Asks::Never => WebPkiClientVerifier::no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![identity.certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, shown) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                // A sender that does not trust us, or that we do not trust, is the next test's business.
                if answer(&mut stream).is_ok() {
                    let certificates = stream.conn.peer_certificates();
                    let first = certificates.and_then(|all| all.first()).cloned();
                    tell.send(first.map(CertificateDer::into_owned)).unwrap();
                }
            }
        });
        Self { address, shown }
    }

    fn url(&self) -> String {
        format!("https://{}/in", self.address)
    }
}

/// One exchange.
fn answer(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let stream = reader.into_inner();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    stream.flush()
}

fn started(config: &str, egress: &str, files: &[(&str, String)]) -> Host {
    let egress = format!("{config}[egress]\nallow-addresses = [\"127.0.0.0/8\"]\n{egress}");
    let builder = HostBuilder::new(egress).env("WHARF_API_LISTEN", "127.0.0.1:0");
    let builder = files
        .iter()
        .fold(builder.shipped("http"), |builder, (path, text)| {
            builder.file(*path, text.as_bytes())
        });
    builder.start().unwrap()
}

/// Goal: an authority of one's own is trusted where it is named, beside the machine's or instead of them; one that
/// is not named is refused before a byte of the message is sent, with the reason `tls` and what would trust it.
#[test]
fn own_authorities_are_trusted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = TlsSink::start(&ours, &Asks::Never);
    let unknown = TlsSink::start(&theirs, &Asks::Never);
    let config = channel("good", &good.url(), RETRY) + &channel("unknown", &unknown.url(), RETRY);
    for native_roots in [true, false] {
        let egress = format!("ca-certificates = [\"ca.pem\"]\nnative-roots = {native_roots}\n");
        let host = started(&config, &egress, &[("ca.pem", ours.pem())]);
        send(&host, &message("good", "good"));
        wait_for(&host, "good", "delivered");
        assert_eq!(good.shown.recv_timeout(SOON).unwrap(), None);
        send(&host, &message("unknown", "unknown"));
        wait_for(&host, "unknown", "dead");
        let attempt = attempts(&host, "unknown").remove(0);
        assert_eq!(
            (&attempt["code"], &attempt["effect"]),
            (&"tls".into(), &"none".into())
        );
        let origin = unknown.url().replace("/in", "");
        assert_has(
            text(&attempt["reason"]),
            &[&origin, "UnknownIssuer", "egress.ca-certificates"],
        );
    }
    assert!(unknown.shown.try_recv().is_err());

    // Both in one file.
    let egress = "ca-certificates = [\"ca.pem\"]\n";
    let host = started(&config, egress, &[("ca.pem", ours.pem() + &theirs.pem())]);
    send(&host, &message("unknown", "unknown"));
    wait_for(&host, "unknown", "delivered");
}

/// Goal: a certificate of ours is shown to the origin that it is configured for and to nobody else, also where others
/// would take one; a receiver that insists and is shown none ends the attempt with the reason `tls`.
#[test]
fn a_client_certificate_is_shown_where_it_belongs() {
    let ours = Authority::new("ours");
    let partner = TlsSink::start(&ours, &Asks::Must);
    let curious = TlsSink::start(&ours, &Asks::May);
    let strict = TlsSink::start(&ours, &Asks::Must);
    let client = ours.issue("wharf.example");
    let config = [
        channel("partner", &partner.url(), RETRY),
        channel("curious", &curious.url(), RETRY),
        channel("strict", &strict.url(), RETRY),
    ];
    let egress = format!(
        "ca-certificates = [\"ca.pem\"]\nnative-roots = false\n[[egress.client-certificate]]\n\
         origin = \"https://{}\"\ncertificate = \"client.pem\"\nkey = \"client.key\"\n",
        partner.address
    );
    let files = [
        ("ca.pem", ours.pem()),
        ("client.pem", client.certificate.pem()),
        ("client.key", client.key.serialize_pem()),
    ];
    let host = started(&config.concat(), &egress, &files);
    send(&host, &message("partner", "partner"));
    wait_for(&host, "partner", "delivered");
    let shown = partner.shown.recv_timeout(SOON).unwrap();
    assert_eq!(shown.as_ref(), Some(client.certificate.der()));
    send(&host, &message("curious", "curious"));
    wait_for(&host, "curious", "delivered");
    assert_eq!(curious.shown.recv_timeout(SOON).unwrap(), None);
    send(&host, &message("strict", "strict"));
    wait_for(&host, "strict", "dead");
    let attempt = attempts(&host, "strict").remove(0);
    assert_eq!(attempt["code"], "tls", "{attempt}");
    assert_has(text(&attempt["reason"]), &["CertificateRequired"]);
    assert!(strict.shown.try_recv().is_err());
}

/// Goal: files that cannot be read, are no PEM, or are no pair are problems of the configuration that name the key and
/// the file, before anything starts; no key is shown.
#[test]
fn bad_files_are_problems_of_the_configuration() {
    let ours = Authority::new("ours");
    let (one, two) = (ours.issue("one"), ours.issue("two"));
    let config = r#"
        [egress]
        ca-certificates = ["none.pem", "text.pem", "one.key"]
        [[egress.client-certificate]]
        origin = "https://a.example"
        certificate = "one.pem"
        key = "two.key"
        [[egress.client-certificate]]
        origin = "https://b.example/path"
        certificate = "one.pem"
        key = "one.key"
        [[egress.client-certificate]]
        origin = "http://c.example"
        certificate = "one.pem"
        key = "one.key"
        [[egress.client-certificate]]
        origin = "https://d.example"
        certificate = "one.key"
        key = "one.key"
        [[egress.client-certificate]]
        origin = "https://e.example"
        certificate = "one.pem"
        key = "one.pem"
        [[egress.client-certificate]]
        origin = "https://f.example"
        certificate = "one.pem"
        key = "one.key"
        [[egress.client-certificate]]
        origin = "https://F.example:443"
        certificate = "one.pem"
        key = "one.key"
        "#;
    let files = [
        ("text.pem", "no certificate".to_owned()),
        ("one.pem", one.certificate.pem()),
        ("one.key", one.key.serialize_pem()),
        ("two.key", two.key.serialize_pem()),
    ];
    let builder = files
        .iter()
        .fold(HostBuilder::new(config), |builder, (path, text)| {
            builder.file(*path, text.as_bytes())
        });
    let host = builder.build().unwrap();
    let (code, _, error) = ended(host.cli(["config", "check"]).unwrap());
    assert_eq!(code, 1);
    assert_has(
        &error,
        &[
            "9 problems",
            "egress.ca-certificates: the file none.pem cannot be read",
            "egress.ca-certificates: the file text.pem has no certificate",
            "egress.ca-certificates: the file one.key has no certificate",
            "egress.client-certificate \"https://a.example\": the key is not the certificate's",
            "egress.client-certificate \"https://b.example/path\": an origin is https://host[:port]",
            "egress.client-certificate \"http://c.example\": an origin is https://host[:port]",
            "egress.client-certificate \"https://d.example\": the file one.key has no certificate",
            "egress.client-certificate \"https://e.example\": the file one.pem has no private key",
            "egress.client-certificate \"https://F.example:443\": there are two for this origin",
        ],
    );
    assert!(!error.contains("PRIVATE KEY-----"), "{error}");

    let host = HostBuilder::new("[egress]\nnative-roots = false\n")
        .build()
        .unwrap();
    let (code, _, error) = ended(host.cli(["config", "check"]).unwrap());
    assert_eq!(code, 1);
    assert_has(
        &error,
        &["egress.native-roots: without them, egress.ca-certificates must"],
    );
}
