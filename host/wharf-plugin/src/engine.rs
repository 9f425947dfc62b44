//! The engine that all plugins share, and the thread that moves its epoch.

use std::thread;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::limits;

/// Why no plugin can run in this process.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Neither allocation strategy worked.
    #[error("failed to start the WebAssembly engine: {0}")]
    Engine(String),
    /// The system gives no further thread.
    #[error("failed to start the epoch thread")]
    Ticker(#[source] std::io::Error),
    /// The host's own functions could not be linked: a defect of wharf.
    #[error("failed to link the host's functions: {0}")]
    Link(String),
}

/// Starts an engine with room for so many instances, and its ticker.
pub(crate) fn start(instances_max: usize) -> Result<Engine, EngineError> {
    let engine = pooling(instances_max).or_else(|error| {
        // The pool reserves about 4 GiB of address space a memory. A container or `ulimit -v` may refuse that;
        // on-demand allocation does the same at some 50 µs more an instance.
        tracing::warn!(
            error = %format_args!("{error:#}"),
            "no address space for the instance pool, falling back to on-demand allocation"
        );
        Engine::new(&config())
    });
    let engine = engine.map_err(|error| EngineError::Engine(format!("{error:#}")))?;
    tick(&engine)?;
    Ok(engine)
}

/// Raises the epoch for as long as the engine lives. Epochs do not wake a guest that waits in a host call: the
/// time-out around each call does.
fn tick(engine: &Engine) -> Result<(), EngineError> {
    let engine = engine.weak();
    thread::Builder::new()
        .name("wharf-epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(limits::EPOCH_TICK);
            }
        })
        .map_err(EngineError::Ticker)?;
    Ok(())
}

/// What compiled code depends on, and with it whoever compiles.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Saves 0.8 µs a call. Components that use the async ABI are refused when compiled.
        .concurrency_support(false)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(limits::BACKTRACE_FRAMES_MAX.try_into().ok())
        // Not by environment variable: what is compiled must depend on nothing but the file and the engine.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

fn pooling(instances_max: usize) -> wasmtime::Result<Engine> {
    let components = u32::try_from(instances_max + limits::INSTANCES_HEADROOM).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    // Per component: up to four core instances (the guest and its adapters), two memories, four tables; scripting
    // languages use the most. Keeping pages resident pays only together with the pagemap scan.
    pool.total_component_instances(components)
        .total_core_instances(components.saturating_mul(4))
        .total_memories(components.saturating_mul(2))
        .total_tables(components.saturating_mul(4))
        .max_memory_size(limits::MEMORY_BYTES_CEILING as usize)
        .table_elements(limits::TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(4 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    Engine::new(config().allocation_strategy(InstanceAllocationStrategy::Pooling(pool)))
}
