//! A converter that would call out through `wasi:http`, a power that no plugin has by itself.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "wharf:delivery/converter-plugin",
        generate_all,
    });
}

use bindings::exports::wharf::delivery::converter::Guest;
use bindings::wharf::delivery::types::{Call, Fault, Wire};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest};

struct WantsHttp;

impl Guest for WantsHttp {
    fn convert(call: Call, message: Wire) -> Result<Wire, Fault> {
        let request = OutgoingRequest::new(Fields::new());
        request.set_authority(Some(&call.channel)).unwrap();
        handle(request, None).unwrap();
        Ok(message)
    }
}

bindings::export!(WantsHttp with_types_in bindings);
