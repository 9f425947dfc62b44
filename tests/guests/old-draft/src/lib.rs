//! A converter that was built against an older draft of the contract.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "converter-plugin" });
}

use bindings::exports::wharf::delivery::converter::Guest;

struct OldDraft;

impl Guest for OldDraft {
    fn convert(body: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(body)
    }
}

bindings::export!(OldDraft with_types_in bindings);
