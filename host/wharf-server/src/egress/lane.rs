//! A lane: where exchanges go, and the idle connections to it.

use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

use crate::limits::{IDLE_CONNECTION_AGE_MAX, IDLE_CONNECTIONS_PER_LANE_MAX};

/// A scheme and an authority, in their normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    /// Lower case; an IPv6 address is in brackets.
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URL; or what is wrong with it.
    pub(crate) fn of(uri: &Uri) -> Result<Self, String> {
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(format!("the scheme {other} is neither http nor https")),
            None => return Err("it has no scheme: write http://… or https://…".to_owned()),
        };
        let Some(authority) = uri.authority() else {
            return Err("it has no host".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("it carries a user name: send credentials in a header".to_owned());
        }
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() {
            return Err("it has no host".to_owned());
        }
        let port = match &authority.as_str()[authority.host().len()..] {
            "" if is_tls => 443,
            "" => 80,
            text => match text.trim_start_matches(':').parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(format!("its port {text:?} is not 1 to 65535")),
            },
        };
        Ok(Self {
            is_tls,
            host: host.into(),
            port,
        })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// The `Host` field: the port only where it is not the scheme's own.
    pub(crate) fn host_field(&self) -> String {
        match (self.is_tls, self.port) {
            (false, 80) | (true, 443) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
    }
}

pub(super) type Connection = SendRequest<Full<Bytes>>;

/// The idle connections to one origin. The one that was used last goes out first, so that the others can age.
#[derive(Debug, Default)]
pub(super) struct Lane {
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Lane {
    /// An idle connection that was still open a moment ago. Await its `ready` before use.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self
            .idle
            .lock()
            .expect("a lane's lock is never held over a panic");
        while let Some((since, connection)) = idle.pop() {
            if since.elapsed() > IDLE_CONNECTION_AGE_MAX {
                idle.clear();
                return None;
            }
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next exchange.
    pub(super) fn put(&self, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self
            .idle
            .lock()
            .expect("a lane's lock is never held over a panic");
        if idle.len() < IDLE_CONNECTIONS_PER_LANE_MAX {
            idle.push((Instant::now(), connection));
        }
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.idle
            .lock()
            .expect("a lane's lock is never held over a panic")
            .is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_normal() {
        let of = |text: &str| Origin::of(&text.parse().unwrap()).map(|o| o.to_string());
        assert_eq!(of("http://A.example/x").unwrap(), "http://a.example:80");
        assert_eq!(
            of("https://a.example.:8443").unwrap(),
            "https://a.example:8443"
        );
        assert_eq!(of("http://[::1]:80/").unwrap(), "http://[::1]:80");
        assert!(of("ftp://a/").is_err());
        assert!(of("/path").is_err());
        assert!(of("http://u:p@a/").is_err());
        assert!(of("http://a:99999/").is_err());
        assert!(of("http://a:0/").is_err());
        assert_eq!(of("http://[::1]/").unwrap(), "http://[::1]:80");
    }
}
