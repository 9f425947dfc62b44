//! The requests that plugins make themselves, through `wasi:http`: whether they may was decided in wharf-plugin; here
//! they become exchanges like any other.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use wharf_plugin::{HttpAnswer, HttpNoAnswer, HttpNoAnswerKind, HttpRequest, HttpSender};

use super::{Client, NoAnswerKind, Origin, Request, StepTimeouts};

/// Hands plugins' requests to the host's client.
pub(crate) struct PluginSender {
    pub(crate) client: Arc<Client>,
}

impl std::fmt::Debug for PluginSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PluginSender")
    }
}

impl HttpSender for PluginSender {
    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpAnswer, HttpNoAnswer>> + Send>> {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            let bytes_max = request.answer_bytes_max;
            let answer = client.exchange(exchange(request)?).await;
            let answer = answer.map_err(|no_answer| HttpNoAnswer {
                kind: kind(no_answer.kind),
                detail: no_answer.detail,
            })?;
            if answer.is_cut {
                return Err(HttpNoAnswer {
                    kind: HttpNoAnswerKind::TooLarge,
                    detail: format!("the answer has more than {bytes_max} bytes"),
                });
            }
            Ok(HttpAnswer {
                status: answer.status,
                headers: answer.headers,
                body: Bytes::from(answer.body),
            })
        })
    }
}

/// The exchange that a request asks for. It names the host and the length itself.
fn exchange(request: HttpRequest) -> Result<Request, HttpNoAnswer> {
    let origin = Origin::of(&request.uri).map_err(|why| HttpNoAnswer {
        kind: HttpNoAnswerKind::Protocol,
        detail: format!("the URL cannot be used: {why}"),
    })?;
    let target = request.uri.path_and_query().cloned();
    let mut headers = request.headers;
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    Ok(Request {
        method: request.method,
        origin,
        target: target.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/")),
        headers,
        body: request.body,
        answer_bytes_max: request.answer_bytes_max,
        timeout: request.timeouts.total,
        steps: StepTimeouts {
            connect: request.timeouts.connect,
            first_byte: request.timeouts.first_byte,
            between_bytes: request.timeouts.between_bytes,
        },
    })
}

fn kind(kind: NoAnswerKind) -> HttpNoAnswerKind {
    match kind {
        NoAnswerKind::RefusedByGuard => HttpNoAnswerKind::RefusedByGuard,
        NoAnswerKind::Dns => HttpNoAnswerKind::Dns,
        NoAnswerKind::Connect => HttpNoAnswerKind::Connect,
        NoAnswerKind::Tls => HttpNoAnswerKind::Tls,
        NoAnswerKind::Timeout => HttpNoAnswerKind::Timeout,
        NoAnswerKind::Closed => HttpNoAnswerKind::Closed,
        NoAnswerKind::Protocol => HttpNoAnswerKind::Protocol,
    }
}
