//! Builds the components of tests/guests and tells `src/guests.rs` where they are, each under its own name.

#[path = "../components.rs"]
mod components;

use std::env;

use components::Components;

const GUESTS: Components<'static> = Components {
    folder: "tests/guests",
    names: &[
        // Instances are never shared between bindings.
        "cache-secret",
        // Each broken limit is its own fault.
        "misbehave",
        // Another draft of the contract is refused.
        "old-draft",
        // Each outcome of a channel is stored as it is.
        "outcomes",
        // A power that was not granted is refused.
        "wants-http",
    ],
    libraries: &[],
    list: "GUESTS in host/wharf-testkit/build.rs",
};

fn main() {
    // xtask uses this crate too, and adds the wasm target that guests need; it must build without it.
    if env::var_os("CARGO_FEATURE_GUESTS").is_none() {
        return;
    }
    match GUESTS.build() {
        Ok(built) => println!("cargo::rustc-env=WHARF_GUESTS={}", built.display()),
        Err(problem) => {
            println!("cargo::error={problem}");
            std::process::exit(1);
        }
    }
}
