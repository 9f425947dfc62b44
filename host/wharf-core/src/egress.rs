//! What an outgoing exchange may reach: which addresses, and which URLs.
//!
//! Addresses are judged after name resolution, and the connection goes to the address that was judged, so a name
//! cannot be rebound in between. Whatever is not globally reachable unicast is refused, unless the operator
//! allowed its network by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The operator's exceptions to the rule that only public addresses are reached.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    /// Networks that are allowed although they are not public.
    pub allowed: Vec<IpNet>,
}

impl AddressGuard {
    /// Why an address must not be reached; none where it may.
    #[must_use]
    pub fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let address = address.to_canonical();
        if self.allowed.iter().any(|net| net.contains(&address)) {
            return None;
        }
        match address {
            IpAddr::V4(v4) => not_public_v4(v4),
            IpAddr::V6(v6) => not_public_v6(v6),
        }
    }
}

/// The IANA IPv4 special-purpose registry, as far as it is not globally reachable.
fn not_public_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = ip.octets();
    Some(match (a, b, c) {
        (0, _, _) => "this-network",
        (10, _, _) | (192, 168, _) | (172, 16..=31, _) => "private",
        (100, 64..=127, _) => "carrier-grade NAT",
        (127, _, _) => "loopback",
        (169, 254, _) => "link-local (cloud metadata)",
        (192, 0, 0) => "protocol assignments",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "documentation",
        (192, 88, 99) => "6to4 relay",
        (198, 18..=19, _) => "benchmarking",
        (224..=239, _, _) => "multicast",
        (240..=255, _, _) => "reserved",
        _ => return None,
    })
}

/// The IANA IPv6 special-purpose registry; forms that carry an IPv4 address are judged by what they carry.
fn not_public_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let s = ip.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        not_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0, 0, 0, 0, 0, 0, ..] => Some("IPv4-compatible"),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => Some("local-use NAT64"),
        [0x100, 0, 0, 0, ..] => Some("discard-only"),
        [0x2001, 0, ..] => Some("Teredo"),
        [0x2001, 0x2..=0x1ff, ..] => Some("protocol assignments"),
        [0x2001, 0xdb8, ..] => Some("documentation"),
        [0x2002, high, low, ..] => embedded(high, low),
        [0x3fff, 0..=0xfff, ..] => Some("documentation"),
        [0x5f00, ..] => Some("segment routing"),
        [0xfc00..=0xfdff, ..] => Some("unique local"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("site-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("unassigned"),
    }
}

/// A pattern for URLs: `scheme://host[:port]`. The host may begin with `*.`, for the names below it, or be `*`, for
/// any; the port may be `*`. Whatever it is, the [`AddressGuard`] judges where the connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPattern {
    scheme: String,
    host: Host,
    port: Port,
}

/// Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    Below(String),
    Is(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Default,
    Any,
    Is(u16),
}

/// Why a text is no [`UrlPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no URL pattern: write scheme://host[:port], such as \"https://*.example.com\""
)]
pub struct PatternError {
    text: String,
}

impl UrlPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError {
            text: text.to_owned(),
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(error)?;
        if !matches!(scheme, "http" | "https") || rest.contains(['/', '?', '#', '@']) {
            return Err(error());
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => (
                host,
                if port == "*" {
                    Port::Any
                } else {
                    Port::Is(port.parse().map_err(|_| error())?)
                },
            ),
            _ => (rest, Port::Default),
        };
        let host = host.to_ascii_lowercase();
        let host = match host.strip_prefix("*.") {
            _ if host == "*" => Host::Any,
            Some(above) => Host::Below(above.to_owned()),
            None => Host::Is(host),
        };
        match &host {
            Host::Below(name) | Host::Is(name) if name.is_empty() || name.contains('*') => {
                return Err(error());
            }
            Host::Any | Host::Below(_) | Host::Is(_) => {}
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host,
            port,
        })
    }

    /// Whether a URL's parts match. `port` is the URL's explicit one.
    #[must_use]
    pub fn matches(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let default = if scheme == "https" { 443 } else { 80 };
        let effective = port.unwrap_or(default);
        let port_fits = match self.port {
            Port::Any => true,
            Port::Default => effective == default,
            Port::Is(wanted) => effective == wanted,
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let host_fits = match &self.host {
            Host::Any => true,
            Host::Below(above) => host
                .strip_suffix(above.as_str())
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            Host::Is(name) => host == *name,
        };
        self.scheme == scheme && port_fits && host_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        let guard = AddressGuard::default();
        for refused in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(
                guard.refuses(refused.parse().unwrap()).is_some(),
                "{refused}"
            );
        }
        for passed in [
            "93.184.216.34",
            "1.1.1.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert_eq!(guard.refuses(passed.parse().unwrap()), None, "{passed}");
        }
    }

    #[test]
    fn an_allowed_network_passes_and_no_more() {
        let guard = AddressGuard {
            allowed: vec!["127.0.0.0/8".parse().unwrap()],
        };
        assert_eq!(guard.refuses("127.0.0.1".parse().unwrap()), None);
        assert_eq!(guard.refuses("::ffff:127.0.0.1".parse().unwrap()), None);
        assert!(guard.refuses("10.0.0.1".parse().unwrap()).is_some());
        assert!(guard.refuses("::1".parse().unwrap()).is_some());
    }

    #[test]
    fn patterns_match_scheme_host_and_port() {
        let check = |pattern: &str, scheme: &str, host: &str, port: Option<u16>, expected: bool| {
            let pattern = UrlPattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.matches(scheme, host, port),
                expected,
                "{pattern:?} {host}"
            );
        };
        check("https://a.example", "https", "A.example", None, true);
        check("https://a.example", "https", "a.example", Some(443), true);
        check("https://a.example", "https", "a.example", Some(8443), false);
        check("https://a.example", "http", "a.example", None, false);
        check("https://*.a.example", "https", "b.a.example", None, true);
        check("https://*.a.example", "https", "a.example", None, false);
        check("https://*.a.example", "https", "bad-a.example", None, false);
        check("https://*", "https", "a.example", None, true);
        check("https://*", "https", "a.example", Some(8443), false);
        check("https://*", "http", "a.example", None, false);
        check("http://*:*", "http", "127.0.0.1", Some(9), true);
        check("http://127.0.0.1:*", "http", "127.0.0.1", Some(9), true);
        check("http://[::1]:80", "http", "[::1]", None, true);
        for bad in [
            "a.example",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://*a",
            "https://*.",
            "https://a:x",
        ] {
            assert!(UrlPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
