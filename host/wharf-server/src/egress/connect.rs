//! A new connection: resolve, judge every address, connect to a judged one, shake hands.

use std::net::{IpAddr, SocketAddr};

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::{CertificateError, Error};
use tokio_util::task::TaskTracker;
use wharf_core::egress::AddressGuard;

use super::lane::{Connection, Origin};
use super::tls::Connectors;
use super::{NoAnswer, NoAnswerKind, Options};
use crate::limits::CONNECT_TIMEOUT;

/// What makes connections.
pub(super) struct Connector {
    guard: AddressGuard,
    tls: Connectors,
    /// Drives the connections; they end when their sender is dropped or the receiver closes.
    drivers: TaskTracker,
}

impl Connector {
    pub(super) fn new(options: Options) -> Self {
        Self {
            guard: options.guard,
            tls: Connectors::new(&options.tls),
            drivers: TaskTracker::new(),
        }
    }

    /// A fresh connection.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, NoAnswer> {
        let addresses = self.resolve(origin).await?;
        let stream = dial(origin, &addresses).await?;
        if !origin.is_tls {
            return self.handshake(stream).await;
        }
        let name = origin
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(name).map_err(|e| {
            NoAnswer::unsent(
                NoAnswerKind::Tls,
                format!("{} is no name for TLS: {e}", origin.host),
            )
        })?;
        let connected = self.tls.to(origin).connect(name, stream).await;
        let stream = connected.map_err(|e| {
            let hint = match is_unknown_authority(&e) {
                true => "; name its authority in egress.ca-certificates if it is meant",
                false => "",
            };
            let detail = format!("TLS with {origin} failed: {e}{hint}");
            NoAnswer::unsent(NoAnswerKind::Tls, detail)
        })?;
        self.handshake(stream).await
    }

    /// The addresses that may be reached.
    async fn resolve(&self, origin: &Origin) -> Result<Vec<SocketAddr>, NoAnswer> {
        let host = origin.host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, origin.port)],
            Err(_) => tokio::net::lookup_host((host, origin.port))
                .await
                .map_err(|e| {
                    NoAnswer::unsent(
                        NoAnswerKind::Dns,
                        format!("the name {host} cannot be resolved: {e}"),
                    )
                })?
                .collect(),
        };
        let mut refused = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.guard.refuses(address.ip()) {
                Some(why) => refused = Some((address.ip(), why)),
                None => allowed.push(address),
            }
        }
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some((ip, why))) => Err(NoAnswer::unsent(
                NoAnswerKind::RefusedByGuard,
                format!(
                    "{origin} is at {ip}, a {why} address; name its network in egress.allow-addresses if it is meant"
                ),
            )),
            (true, None) => Err(NoAnswer::unsent(
                NoAnswerKind::Dns,
                format!("the name {host} has no address"),
            )),
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<Connection, NoAnswer>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| NoAnswer::unsent(NoAnswerKind::Protocol, e.to_string()))?;
        self.drivers.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an outgoing connection ended");
            }
        });
        Ok(sender)
    }
}

fn is_unknown_authority(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    )
}

async fn dial(origin: &Origin, addresses: &[SocketAddr]) -> Result<TcpStream, NoAnswer> {
    let mut last = None;
    // One address that swallows packets must not use up the time of the others.
    let share = CONNECT_TIMEOUT / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    for address in addresses {
        let connected = timeout(share, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(stream) => {
                // A request goes out in few, complete writes; waiting for more only adds latency.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some((address, error)),
        }
    }
    let detail = match last {
        Some((address, error)) => format!("no connection to {origin} at {address}: {error}"),
        None => format!("{origin} has no address"),
    };
    Err(NoAnswer::unsent(NoAnswerKind::Connect, detail))
}
