//! The components that ship inside the binary: what `wharf init` writes into a new `plugins/`
//! folder.
//!
//! The build script makes them from `/plugins`.

/// File name and bytes of each, sorted by name.
pub(crate) const SHIPPED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

#[cfg(test)]
mod tests {
    use super::SHIPPED;

    /// The preamble of a component: magic, version 13, layer 1. A core module has layer 0.
    const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_ships_are_components() {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "audit.wasm",
                "cloudevents.wasm",
                "envelope-http.wasm",
                "file.wasm",
                "http.wasm",
                "json-map.wasm",
                "msgpack-envelope.wasm",
                "stamp.wasm",
                "template.wasm",
            ]
        );
        for (name, bytes) in SHIPPED {
            assert!(bytes.starts_with(PREAMBLE), "{name} is no component");
        }
    }
}
