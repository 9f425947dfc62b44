//! `[egress]`.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::super::file::{ClientCertificate, Egress, beside};
use super::Resolver;
use crate::egress::{Origin, Tls, tls};

impl Resolver<'_> {
    pub(super) fn addresses(&mut self, texts: &[String]) -> Vec<ipnet::IpNet> {
        let mut nets = Vec::new();
        for text in texts {
            match text.parse::<ipnet::IpNet>() {
                Ok(net) => nets.push(net),
                Err(_) => self.problem(format!(
                    "egress.allow-addresses: {text:?} is no network, such as \"127.0.0.0/8\""
                )),
            }
        }
        nets
    }

    pub(super) fn tls(&mut self, egress: &Egress) -> Tls {
        let native_roots = egress.native_roots.unwrap_or(true);
        if !native_roots && egress.ca_certificates.is_empty() {
            self.problem(
                "egress.native-roots: without them, egress.ca-certificates must name whom TLS trusts"
                    .to_owned(),
            );
        }
        let mut authorities = RootCertStore::empty();
        for path in &egress.ca_certificates {
            if let Err(why) = trust(&mut authorities, &beside(self.base, path)) {
                let path = path.display();
                self.problem(format!("egress.ca-certificates: the file {path} {why}"));
            }
        }
        let mut identities: Vec<(Origin, Arc<CertifiedKey>)> = Vec::new();
        for entry in &egress.client_certificate {
            let at = format!("egress.client-certificate {:?}", entry.origin);
            match self.identity(entry) {
                Ok((origin, _)) if identities.iter().any(|(known, _)| *known == origin) => {
                    self.problem(format!("{at}: there are two for this origin"));
                }
                Ok((origin, identity)) => identities.push((origin, Arc::new(identity))),
                Err(why) => self.problem(format!("{at}: {why}")),
            }
        }
        Tls {
            native_roots,
            authorities,
            identities,
        }
    }

    fn identity(&self, entry: &ClientCertificate) -> Result<(Origin, CertifiedKey), String> {
        let origin = https_origin(&entry.origin)?;
        let named = |path: &Path, why| format!("the file {} {why}", path.display());
        let certificates = tls::read_certificates(&beside(self.base, &entry.certificate))
            .map_err(|why| named(&entry.certificate, why))?;
        let key =
            tls::read_key(&beside(self.base, &entry.key)).map_err(|why| named(&entry.key, why))?;
        Ok((origin, tls::identity(certificates, key)?))
    }
}

fn trust(authorities: &mut RootCertStore, path: &Path) -> Result<(), String> {
    for certificate in tls::read_certificates(path)? {
        authorities
            .add(certificate)
            .map_err(|e| format!("has a certificate that cannot be used: {e}"))?;
    }
    Ok(())
}

/// An origin alone: a certificate is shown before a path is asked for.
fn https_origin(text: &str) -> Result<Origin, String> {
    const FORM: &str = "an origin is https://host[:port]";
    let uri: http::Uri = text.parse().map_err(|_| FORM.to_owned())?;
    let origin = Origin::of(&uri).map_err(|why| format!("{why}; {FORM}"))?;
    let has_path = uri.path() != "/" || uri.query().is_some();
    if !origin.is_tls || has_path {
        return Err(FORM.to_owned());
    }
    Ok(origin)
}
