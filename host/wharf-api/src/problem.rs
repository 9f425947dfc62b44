//! Errors as the caller sees them: RFC 9457 problem documents with a stable code, which has a page in `docs/problems`.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $code:literal $title:literal,)*) => {
        /// Every problem that the API answers with. Codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $variant,)*
        }

        impl ProblemCode {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable code.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that it comes with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A summary that is the same for every occurrence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Its page, as Markdown: what happened, why, what to do, an example.
            #[cfg(feature = "pages")]
            #[must_use]
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => {
                        include_str!(concat!("../../../docs/problems/", $code, ".md"))
                    })*
                }
            }
        }
    };
}

codes! {
    /// The body is no JSON, or is broken.
    MalformedBody = 400 "malformed-body" "The body cannot be read",
    /// The JSON form has a field that does not exist.
    UnknownField = 400 "unknown-field" "The message has an unknown field",
    /// A field's value cannot be used.
    InvalidField = 400 "invalid-field" "A field has a value that cannot be used",
    /// A message id outside `[A-Za-z0-9_-]{1,64}`.
    InvalidId = 400 "invalid-id" "The message id cannot be used",
    /// An `Idempotency-Key` that is none.
    IdempotencyKeyMalformed = 400 "idempotency-key-malformed" "The idempotency key cannot be read",
    /// Neither an id nor an `Idempotency-Key`, where the server takes nothing without.
    IdempotencyKeyRequired = 400 "idempotency-key-required" "The message has neither an id nor an idempotency key",
    /// An `Idempotency-Key`, and an identity of the message's own.
    TwoIdentities = 400 "two-identities" "The message has two identities",
    /// No token, or a wrong one.
    Unauthorized = 401 "unauthorized" "The API token is missing or wrong",
    /// The token has not the scope that this takes.
    Forbidden = 403 "forbidden" "The API token is not for this",
    /// Nothing at this path.
    NotFound = 404 "not-found" "There is nothing at this path",
    /// No message with this id.
    MessageNotFound = 404 "message-not-found" "There is no message with this id",
    /// No channel with this name.
    ChannelNotFound = 404 "channel-not-found" "There is no channel with this name",
    /// The path exists, not with this method.
    MethodNotAllowed = 405 "method-not-allowed" "The path does not take this method",
    /// The id is known with other content.
    IdConflict = 409 "id-conflict" "The message id is taken by other content",
    /// Nothing of the message can be cancelled any more.
    NotCancellable = 409 "not-cancellable" "Nothing of the message can be cancelled",
    /// Nothing of the message was given up.
    NotRedrivable = 409 "not-redrivable" "Nothing of the message can be redriven",
    /// The routes are in a file that the API does not write.
    RoutesInFile = 409 "routes-in-file" "The routes are not changed over the API",
    /// The message was removed by retention; its id is still known.
    MessageRemoved = 410 "message-removed" "The message is not kept any more",
    /// Over the payload limit.
    PayloadTooLarge = 413 "payload-too-large" "The message is too large",
    /// A content type that is not read here.
    UnsupportedMediaType = 415 "unsupported-media-type" "The content type is not read here",
    /// A content encoding that is not read here.
    UnsupportedContentEncoding = 415 "unsupported-content-encoding" "The content encoding is not read here",
    /// The configuration, or the routes that were put, cannot be used.
    ConfigInvalid = 422 "config-invalid" "The configuration cannot be used",
    /// The channel's receiver does not take it.
    ReceiptRefused = 422 "receipt-refused" "The channel's receiver does not take it",
    /// The `Idempotency-Key` is known with other content.
    IdempotencyKeyReused = 422 "idempotency-key-reused" "The idempotency key was used for other content",
    /// The server failed in a way that is its own fault.
    Internal = 500 "internal" "The server failed",
    /// The channel's receiver cannot be asked, or failed.
    ReceiverFailed = 503 "receiver-failed" "The channel's receiver cannot read it now",
    /// The disk has no room for more messages.
    DiskLow = 503 "disk-low" "The disk is nearly full",
    /// A commit failed; whether it is on disk is not known.
    CommitUnknown = 503 "commit-unknown" "It is not known whether the message was stored",
    /// The server is stopping.
    ShuttingDown = 503 "shutting-down" "The server is stopping",
}

/// The list of all pages, as Markdown.
#[cfg(feature = "pages")]
pub const PROBLEM_INDEX: &str = include_str!("../../../docs/problems/README.md");

/// Where the server shows the pages: the code is what follows.
pub const PROBLEM_PAGES: &str = "/problems/";

impl ProblemCode {
    /// The code that reads like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An RFC 9457 problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `/problems/<code>`, where the server has the code's page.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every occurrence of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, and what to do.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// The field that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A problem with its detail.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{PROBLEM_PAGES}{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
            field: None,
        }
    }

    /// The same, about a field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

#[cfg(all(test, feature = "pages"))]
mod tests {
    use super::*;

    /// Goal: a page cannot say another status or title than the answer does.
    #[test]
    fn every_page_is_about_its_code() {
        for code in ProblemCode::ALL {
            let head = format!("# {code}\n\n{}: {}.\n", code.status(), code.title());
            assert!(code.page().starts_with(&head), "{code}: no {head:?}");
            let line = format!(
                "| [{code}]({code}.md) | {} | {} |\n",
                code.status(),
                code.title()
            );
            assert!(PROBLEM_INDEX.contains(&line), "{code} is not in the index");
            assert_eq!(ProblemCode::parse(code.as_str()), Some(*code));
        }
        let listed = PROBLEM_INDEX.matches("\n| [").count();
        assert_eq!(listed, ProblemCode::ALL.len());
        assert_eq!(ProblemCode::parse("no-such-code"), None);
    }
}
