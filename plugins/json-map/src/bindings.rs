//! What `wit-bindgen` makes of the contract in `/wit`. Nothing else lives here; behaviour is in the
//! modules beside it.

// Generated code follows its own house style, and speaks the canonical ABI, which is unsafe by
// nature.
#![allow(unsafe_code, unreachable_pub, unused_qualifications, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package wharf:shipped;
        world json-map {
            include wharf:delivery/converter-plugin@0.1.0-draft.4;
            include wharf:delivery/described@0.1.0-draft.4;
        }
    ",
    world: "wharf:shipped/json-map",
    with: { "wharf:delivery/types@0.1.0-draft.4": wharf_plugin_common::types },
    generate_all,
    additional_derives: [PartialEq],
});

// The exports exist only in the component: natively, for unit tests, the types above are all that
// is needed.
#[cfg(target_family = "wasm")]
use crate::JsonMap;
#[cfg(target_family = "wasm")]
export!(JsonMap with_types_in self);
