//! Whom a TLS connection trusts, and who it says it is.
//!
//! Trusted are the machine's own authorities, those of `egress.ca-certificates` beside them or in their place. A
//! certificate of our own is shown to the origins that `[[egress.client-certificate]]` names and to nobody else; as
//! idle connections are kept by origin, no exchange with another ever goes over one that was made with it.
//!
//! All of it is read and checked with the configuration, so a file that was changed counts after the next start.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, Error, InconsistentKeys, RootCertStore};

use super::Origin;

/// What `[egress]` says of TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Whether the machine's own authorities are trusted.
    pub(crate) native_roots: bool,
    /// Authorities that are trusted beside them.
    pub(crate) authorities: RootCertStore,
    /// Certificates of our own, by whom they are shown to.
    pub(crate) identities: Vec<(Origin, Arc<CertifiedKey>)>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            native_roots: true,
            authorities: RootCertStore::empty(),
            identities: Vec::new(),
        }
    }
}

/// Keys are not shown.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: Vec<_> = self.identities.iter().map(|(origin, _)| origin).collect();
        f.debug_struct("Tls")
            .field("native_roots", &self.native_roots)
            .field("authorities", &self.authorities.len())
            .field("identities", &origins)
            .finish()
    }
}

/// Makes TLS connections, as the origin needs them.
pub(super) struct Connectors {
    plain: TlsConnector,
    by_origin: HashMap<Origin, TlsConnector>,
}

impl Connectors {
    pub(super) fn new(tls: &Tls) -> Self {
        let mut roots = tls.authorities.clone();
        if tls.native_roots {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a root certificate of this machine cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(ring::default_provider());
        let config = || -> ConfigBuilder<ClientConfig, WantsClientCert> {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .expect("ring has the default protocol versions")
                .with_root_certificates(Arc::clone(&roots))
        };
        let with = |identity: &Arc<CertifiedKey>| {
            let shown = SingleCertAndKey::from(Arc::clone(identity));
            let config = config().with_client_cert_resolver(Arc::new(shown));
            TlsConnector::from(Arc::new(config))
        };
        let by_origin = tls
            .identities
            .iter()
            .map(|(origin, identity)| (origin.clone(), with(identity)));
        Self {
            plain: TlsConnector::from(Arc::new(config().with_no_client_auth())),
            by_origin: by_origin.collect(),
        }
    }

    pub(super) fn to(&self, origin: &Origin) -> &TlsConnector {
        self.by_origin.get(origin).unwrap_or(&self.plain)
    }
}

/// The certificates of a PEM file, at least one; or what is wrong with it.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("cannot be read as PEM: {e}"))?;
    if certificates.is_empty() {
        return Err("has no certificate (BEGIN CERTIFICATE)".to_owned());
    }
    Ok(certificates)
}

/// The first private key of a PEM file; or what is wrong with it.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(rustls_pki_types::pem::Error::NoItemsFound) => {
            Err("has no private key (BEGIN PRIVATE KEY)".to_owned())
        }
        Err(e) => Err(format!("cannot be read as PEM: {e}")),
    }
}

/// A certificate with its key; or why the two are no pair.
pub(crate) fn identity(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    let provider: CryptoProvider = ring::default_provider();
    CertifiedKey::from_der(certificates, key, &provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key is not the certificate's".to_owned()
        }
        other => format!("the key cannot be used: {other}"),
    })
}
