//! What `wit-bindgen` makes of the parts of the contract in `/wit` that every component names.
//! Nothing else lives here; behaviour is in the modules beside it.

// Generated code follows its own house style, and speaks the canonical ABI, which is unsafe by
// nature.
#![allow(unsafe_code, unreachable_pub, unused_qualifications, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package wharf:shipped;
        world common {
            import wharf:delivery/types@0.1.0-draft.4;
            import wasi:config/store@0.2.0-rc.1;
        }
    ",
    world: "wharf:shipped/common",
    generate_all,
    additional_derives: [PartialEq],
});
