//! `[api]`.

use std::net::SocketAddr;

use wharf_core::{MessageId, limits};

use super::super::token::{Named, Scope, Token, Tokens};
use super::super::value::{Secret, Size};
use super::Resolver;

impl Resolver<'_> {
    pub(super) fn tokens(&mut self, tokens: Option<Tokens>) -> Vec<Token> {
        let named = match tokens {
            None => return Vec::new(),
            Some(Tokens::One(token)) => {
                return vec![Token {
                    name: None,
                    text: self.token("api.token", &token),
                    scopes: Scope::ALL.to_vec(),
                }];
            }
            Some(Tokens::Named(named)) => named,
        };
        if named.is_empty() {
            self.problem("api.token: there are no tables in it; leave it out".into());
        }
        let mut resolved: Vec<Token> = Vec::with_capacity(named.len());
        for Named {
            name,
            token,
            scopes,
        } in named
        {
            let at = format!("api.token {name:?}");
            if MessageId::parse(&name).is_err() {
                self.problem(format!("{at}: its name takes 1 to 64 of A-Z a-z 0-9 _ -"));
            }
            if scopes.is_empty() {
                self.problem(format!("{at}: scopes: give some of send, read, operate"));
            }
            let text = self.token(&at, &token);
            for other in &resolved {
                let other_name = other.name.as_deref().unwrap_or_default();
                if other_name == name {
                    self.problem(format!("{at}: there are two of this name"));
                } else if other.text == text && !text.is_empty() {
                    self.problem(format!("{at}: it is the same token as {other_name:?}"));
                }
            }
            resolved.push(Token {
                name: Some(name),
                text,
                scopes,
            });
        }
        resolved
    }

    /// The token as it is compared with what a caller sends in a header.
    fn token(&mut self, at: &str, token: &Secret) -> String {
        let text = match token.resolve(self.base) {
            Ok(text) => text,
            Err(why) => {
                self.problem(format!("{at}: {why}"));
                return String::new();
            }
        };
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            self.problem(format!(
                "{at}: it is blank; leave it out for a loopback listener"
            ));
        } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.problem(format!(
                "{at}: it takes ASCII without control characters, as a header does"
            ));
        }
        text.to_owned()
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

    pub(super) fn payload_max(&mut self, size: Option<Size>) -> usize {
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
}
