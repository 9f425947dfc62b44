use std::path::{Path, PathBuf};

/// The component of one folder of tests/guests, as `NAME.wasm`. The build script has built it.
///
/// # Panics
/// When there is no such guest.
pub fn guest(name: &str) -> PathBuf {
    let path = Path::new(env!("WHARF_GUESTS"))
        .join(name)
        .with_extension("wasm");
    assert!(
        path.is_file(),
        "there is no guest `{name}`; tests/guests has one folder for each"
    );
    path
}
