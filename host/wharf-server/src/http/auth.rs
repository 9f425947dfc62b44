//! Who calls, by its token, and what it may do.
//!
//! Every route but health and the problem pages asks for one scope. Without any configured token, which only a loopback
//! listener can be, everyone may do everything.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use wharf_api::{Problem, ProblemCode};

use super::App;
use super::problem::Answer;
use crate::config::{self, Scope};

/// The configured tokens.
pub(crate) struct Tokens(Vec<Known>);

struct Known {
    caller: Option<Caller>,
    text: Box<[u8]>,
    scopes: Vec<Scope>,
}

/// The name of the token that a request came with, for handlers that tell callers apart: it is an extension of the
/// request where the token has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller(pub(super) Arc<str>);

/// The name of the token that a request came with, where it has one.
pub(super) fn name_of(caller: Option<&Extension<Caller>>) -> Option<&str> {
    caller.map(|Extension(Caller(name))| &**name)
}

/// What a request says about the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// It is right, or none is configured.
    Right,
    Wrong,
    Missing,
}

/// Why a request may not do what it asks for.
enum Refused<'a> {
    Wrong,
    Missing,
    /// The caller's token is not for this.
    Forbidden(Option<&'a Caller>),
}

impl Tokens {
    pub(crate) fn new(tokens: &[config::Token]) -> Self {
        let known = |token: &config::Token| Known {
            caller: token.name.as_deref().map(|name| Caller(name.into())),
            text: token.text.as_bytes().into(),
            scopes: token.scopes.clone(),
        };
        Self(tokens.iter().map(known).collect())
    }

    /// Who asks, where it may.
    fn allow(&self, headers: &HeaderMap, scope: Scope) -> Result<Option<&Caller>, Refused<'_>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let given = headers.get(AUTHORIZATION).ok_or(Refused::Missing)?;
        let given = given.as_bytes().trim_ascii();
        let (scheme, given) = given
            .split_at_checked("bearer ".len())
            .ok_or(Refused::Wrong)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(Refused::Wrong);
        }
        let known = self.find(given.trim_ascii()).ok_or(Refused::Wrong)?;
        if known.scopes.contains(&scope) {
            Ok(known.caller.as_ref())
        } else {
            Err(Refused::Forbidden(known.caller.as_ref()))
        }
    }

    /// In a time that does not tell how much of which token was right: all of them are compared.
    fn find(&self, given: &[u8]) -> Option<&Known> {
        let mut found = u64::MAX;
        for (place, known) in (0..).zip(&self.0) {
            found.conditional_assign(&place, known.text.ct_eq(given));
        }
        self.0.get(usize::try_from(found).ok()?)
    }
}

/// Whether the request may read.
pub(super) fn token(app: &App, headers: &HeaderMap) -> Token {
    match app.tokens.allow(headers, Scope::Read) {
        Ok(_) => Token::Right,
        Err(Refused::Missing) => Token::Missing,
        Err(Refused::Wrong | Refused::Forbidden(_)) => Token::Wrong,
    }
}

/// Lets a request pass whose token has the scope, or any where no token is configured.
pub(super) async fn check(
    State((app, scope)): State<(Arc<App>, Scope)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Answer> {
    match app.tokens.allow(request.headers(), scope) {
        Ok(None) => {}
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller.clone());
        }
        Err(refused) => return Err(problem(&refused, scope).into()),
    }
    Ok(next.run(request).await)
}

fn problem(refused: &Refused<'_>, scope: Scope) -> Problem {
    match refused {
        Refused::Wrong => Problem::new(ProblemCode::Unauthorized, "the API token is wrong"),
        Refused::Missing => Problem::new(
            ProblemCode::Unauthorized,
            "this server takes an API token: send `Authorization: Bearer <token>`",
        ),
        Refused::Forbidden(caller) => {
            let name = caller.map_or("", |caller| &caller.0);
            Problem::new(
                ProblemCode::Forbidden,
                format!("the token {name:?} has no scope `{scope}`, which this takes"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(tokens: &Tokens, authorization: &str, scope: Scope, expected: &str) {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        }
        let found = match tokens.allow(&headers, scope) {
            Ok(None) => "anyone".to_owned(),
            Ok(Some(caller)) => caller.0.to_string(),
            Err(refused) => problem(&refused, scope).to_string(),
        };
        assert!(found.contains(expected), "{authorization:?}: {found}");
    }

    #[test]
    fn a_token_opens_what_its_scopes_say() {
        let token = |name: Option<&str>, text: &str, scopes: &[Scope]| config::Token {
            name: name.map(str::to_owned),
            text: text.to_owned(),
            scopes: scopes.to_vec(),
        };
        let none = Tokens::new(&[]);
        check(&none, "", Scope::Operate, "anyone");
        check(&none, "Bearer x", Scope::Send, "anyone");

        let one = Tokens::new(&[token(None, "s3cret", &Scope::ALL)]);
        for scope in Scope::ALL {
            check(&one, "Bearer s3cret", scope, "anyone");
            check(&one, "bearer  s3cret ", scope, "anyone");
        }
        check(&one, "", Scope::Read, "(unauthorized)");
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3crets",
            "Basic s3cret",
        ] {
            check(&one, wrong, Scope::Read, "the API token is wrong");
        }

        let several = Tokens::new(&[
            token(Some("billing"), "b", &[Scope::Send]),
            token(Some("dashboard"), "d", &[Scope::Read]),
            token(Some("oncall"), "o", &[Scope::Read, Scope::Operate]),
        ]);
        check(&several, "Bearer b", Scope::Send, "billing");
        check(&several, "Bearer d", Scope::Read, "dashboard");
        check(&several, "Bearer o", Scope::Operate, "oncall");
        check(&several, "Bearer o", Scope::Read, "oncall");
        let lacks = "the token \"billing\" has no scope `read`";
        check(&several, "Bearer b", Scope::Read, lacks);
        check(&several, "Bearer o", Scope::Send, "(forbidden)");
        check(&several, "Bearer x", Scope::Send, "(unauthorized)");
        check(&several, "Bearer ", Scope::Send, "(unauthorized)");
    }
}
