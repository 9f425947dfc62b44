//! Who may call the API, and for what.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::Secret;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send messages.
    Send,
    /// Look at messages, their journals and plugins.
    Read,
    /// Change what becomes of messages that were accepted.
    Operate,
    /// Report what became of deliveries to a channel, and nothing else: for partners.
    Receive,
}

impl Scope {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Send, Self::Read, Self::Operate, Self::Receive];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Receive => "receive",
        })
    }
}

/// An API token as it is compared with what a caller sends in a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called in the log; none for the one that needs no name, being alone.
    pub name: Option<String>,
    /// Its text.
    pub text: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
}

impl fmt::Debug for Token {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish()
    }
}

/// `api.token`: one for everything, or a table for each.
#[derive(Debug)]
pub(super) enum Tokens {
    One(Secret),
    Named(Vec<Named>),
}

/// `[[api.token]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// What the log calls it: `[A-Za-z0-9_-]{1,64}`.
    pub(super) name: String,
    /// The token, as the single one is given.
    pub(super) token: Secret,
    /// What it is good for: `send`, `read`, `operate` and `receive`, at least one.
    pub(super) scopes: Vec<Scope>,
}

impl<'de> Deserialize<'de> for Tokens {
    /// By hand: a derived choice would not say which key of which table is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrNamed;

        impl<'de> Visitor<'de> for OneOrNamed {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a text, { env = \"NAME\" }, { file = \"path\" }, or [[api.token]] tables",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Tokens, E> {
                Ok(Tokens::One(Secret::Text(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tokens, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(Tokens::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Tokens, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Tokens::Named)
            }
        }

        deserializer.deserialize_any(OneOrNamed)
    }
}
