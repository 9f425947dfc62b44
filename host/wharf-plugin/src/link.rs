//! The functions that plugins are linked with. Those of the baseline are powerless: an empty environment, no
//! arguments, no files but those of granted folders, no sockets. `wasi:http` is linked for all and answers those
//! alone that were granted it; nobody else gets as far as being linked with it. See `grants.rs` for what is judged
//! before.

use tracing::Level;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Result};
use wasmtime_wasi_config::WasiConfig;

use crate::bindings::contract::wharf::delivery::log;
use crate::state::State;

/// Makes the linker that all plugins share.
pub(crate) fn baseline(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut State| {
        WasiConfig::from(state.settings())
    })?;
    log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl log::Host for State {
    fn log(
        &mut self,
        level: log::Level,
        text: String,
        fields: Vec<(String, String)>,
    ) -> Result<()> {
        let level = match level {
            log::Level::Trace => Level::TRACE,
            log::Level::Debug => Level::DEBUG,
            log::Level::Info => Level::INFO,
            log::Level::Warn => Level::WARN,
            log::Level::Error => Level::ERROR,
        };
        self.guest_log().line(level, &text, &fields);
        #[cfg(debug_assertions)]
        abort_if_told(&text);
        Ok(())
    }
}

/// Ends the process where a guest logs what `WHARF_TEST_ABORT_ON_LOG` says, as a bug of the host would that a guest
/// finds. There is no such switch in a release build.
#[cfg(debug_assertions)]
fn abort_if_told(text: &str) {
    static WORDS: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let words = WORDS.get_or_init(|| std::env::var("WHARF_TEST_ABORT_ON_LOG").ok());
    if words.as_deref() == Some(text) {
        std::process::abort();
    }
}
