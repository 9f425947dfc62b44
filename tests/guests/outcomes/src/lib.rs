//! A request-channel that ends each attempt as the message's attribute `outcome` says, without an exchange:
//! `delivered`, `provisional`, `pending`, `retry`, `rejected`, or `trap`. Beside it a converter that wraps the
//! body, and an annotator that notes the attempt's number.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package wharf:guests;
            world outcomes {
                include wharf:delivery/base@0.1.0-draft.4;
                export wharf:delivery/annotator@0.1.0-draft.4;
                export wharf:delivery/converter@0.1.0-draft.4;
                export wharf:delivery/request-channel@0.1.0-draft.4;
            }
        ",
        world: "wharf:guests/outcomes",
        generate_all,
    });
}

use bindings::exports::wharf::delivery::annotator::Guest as Annotator;
use bindings::exports::wharf::delivery::converter::Guest as Converter;
use bindings::exports::wharf::delivery::request_channel::{
    Guest as RequestChannel, NoAnswer, Operation, Response, Step,
};
use bindings::wharf::delivery::types::{
    Call, Effect, Failure, Fault, Outcome, Receipt, Refusal, Scope, Waiting, Wire,
};

struct Outcomes;

impl RequestChannel for Outcomes {
    fn start(call: Call, operation: Operation) -> Step {
        // Whoever asks what became of it learns that it is as open as before.
        if let Operation::Poll(token) = operation {
            return Step::Done(Ok(Outcome::Pending(waiting(token))));
        }
        let wanted = call.attributes.iter().find(|(key, _)| key == "outcome");
        let wanted = wanted.map_or("delivered", |(_, value)| value.as_str());
        let token = format!("token-{}", call.message_id);
        Step::Done(Ok(match wanted {
            "delivered" => Outcome::Delivered(receipt()),
            "provisional" => Outcome::Provisional((receipt(), waiting(token))),
            "pending" => Outcome::Pending(waiting(token)),
            "retry" => Outcome::Retry(Failure {
                code: "told-to-retry".to_owned(),
                reason: "told to retry".to_owned(),
                effect: Effect::None,
                scope: Scope::Message,
                pause: false,
                after_ms: None,
                notes: Vec::new(),
            }),
            "rejected" => Outcome::Rejected(Refusal {
                code: "told-to-reject".to_owned(),
                reason: "told to reject".to_owned(),
                notes: Vec::new(),
            }),
            "trap" => panic!("told to trap"),
            other => panic!("unknown outcome {other}"),
        }))
    }

    fn resume(_call: Call, _state: Vec<u8>, _answer: Result<Response, NoAnswer>) -> Step {
        unreachable!("it asks for no exchange")
    }
}

fn receipt() -> Receipt {
    Receipt {
        reference: Some("partner-7".to_owned()),
        notes: vec![("desk".to_owned(), "4".to_owned())],
    }
}

/// Falls due at once: a host that took a poll for an attempt would send again.
fn waiting(token: String) -> Waiting {
    Waiting {
        token,
        poll_after_ms: Some(1),
        notes: vec![("queue".to_owned(), "9".to_owned())],
    }
}

impl Converter for Outcomes {
    fn convert(_call: Call, mut message: Wire) -> Result<Wire, Fault> {
        message.body = [b"wrapped:".as_slice(), &message.body].concat();
        Ok(message)
    }
}

impl Annotator for Outcomes {
    fn annotate(call: Call, _sent: Wire, _ended: Outcome) -> Result<Vec<(String, String)>, String> {
        Ok(vec![("annotated".to_owned(), call.attempt.to_string())])
    }
}

bindings::export!(Outcomes with_types_in bindings);
