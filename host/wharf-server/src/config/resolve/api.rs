//! `[api]` and `[egress]`.

use std::net::SocketAddr;

use wharf_core::limits;

use super::super::value::Secret;
use super::Resolver;

impl Resolver<'_> {
    /// The token as it is compared with what a caller sends in a header.
    pub(super) fn token(&mut self, token: &Secret) -> Option<String> {
        let text = token
            .resolve(self.base)
            .map_err(|why| self.problem(format!("api.token: {why}")))
            .ok()?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            self.problem("api.token: it is blank; leave it out for a loopback listener".into());
        } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.problem(
                "api.token: it takes ASCII without control characters, as a header does".into(),
            );
        }
        Some(text.to_owned())
    }

    pub(super) fn listen(&mut self, listen: &str, has_token: bool) -> SocketAddr {
        let address = listen.parse().unwrap_or_else(|_| {
            self.problem(format!(
                "api.listen: {listen:?} is no address and port, such as \"127.0.0.1:8470\""
            ));
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        if !address.ip().is_loopback() && !has_token {
            self.problem(format!(
                "api.listen: {address} can be reached from outside: set api.token, or listen on 127.0.0.1"
            ));
        }
        address
    }

    pub(super) fn payload_max(&mut self, size: Option<bytesize::ByteSize>) -> usize {
        let Some(size) = size else {
            return limits::PAYLOAD_BYTES_DEFAULT;
        };
        match usize::try_from(size.as_u64()) {
            Ok(bytes) if bytes <= limits::PAYLOAD_BYTES_HARD => bytes,
            _ => {
                self.problem(format!(
                    "api.payload-max: {size} is over the most that is possible, 16 MiB"
                ));
                limits::PAYLOAD_BYTES_DEFAULT
            }
        }
    }

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
}
