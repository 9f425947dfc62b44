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
        Ok(())
    }
}
