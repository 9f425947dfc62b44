//! What a store holds beside its guest: everything that bounds one instance, and everything it may reach.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::computing::Computing;
use crate::fault::PluginFault;
use crate::grants::Folder;
use crate::guest_log::{About, GuestLog, LogStream, Sink, Stream};
use crate::http::{Http, Outgoing};
use crate::limits;
use crate::turn::{Turn, Turns};

/// What bounds the instances of one plugin, or of one binding of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For one call, waiting in host functions included.
    pub(crate) timeout: Duration,
    /// For the guest's own computing within a call, where that is less than all of it.
    pub(crate) computing: Option<Duration>,
    pub(crate) memory_bytes: u64,
    pub(crate) output_bytes: u64,
    pub(crate) calls_max: u64,
}

/// What a plugin can reach outside of itself.
#[derive(Default)]
pub(crate) struct Powers {
    pub(crate) folders: Vec<Folder>,
    pub(crate) http: Option<Http>,
}

/// What all instances of one binding have in common.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) limits: Limits,
    pub(crate) turns: Turns,
    pub(crate) settings: Arc<WasiConfigVariables>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) powers: Arc<Powers>,
}

/// The host's side of one instance.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    pub(crate) memory: Memory,
    settings: Arc<WasiConfigVariables>,
    log: GuestLog,
    limits: Limits,
    deadline: Instant,
    computing: Option<Arc<Computing>>,
    pub(crate) turn: Turn,
}

impl State {
    pub(crate) fn new(template: &Template) -> Result<State, PluginFault> {
        let log = GuestLog::new(Arc::clone(&template.sink));
        let mut wasi = WasiCtx::builder();
        wasi.stdout(LogStream::new(log.clone(), Stream::Stdout))
            .stderr(LogStream::new(log.clone(), Stream::Stderr))
            .max_random_size(limits::RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        for folder in &template.powers.folders {
            let perms = if folder.is_writable {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            wasi.preopened_dir(&folder.path, &folder.at, perms)
                .map_err(|error| PluginFault::Unavailable {
                    reason: format!(
                        "its folder {} cannot be opened: {error:#}",
                        folder.path.display()
                    ),
                })?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES_MAX);
        Ok(State {
            wasi: wasi.build(),
            table,
            http: WasiHttpCtx::new(),
            outgoing: Outgoing::new(template.powers.http.clone(), log.clone()),
            memory: Memory {
                bytes: 0,
                bytes_max: template.limits.memory_bytes,
                refused: false,
            },
            settings: Arc::clone(&template.settings),
            log,
            limits: template.limits,
            deadline: Instant::now(),
            computing: template.limits.computing.map(Computing::new),
            turn: Turn::new(template.turns.clone()),
        })
    }

    /// Starts the clocks of one call.
    pub(crate) fn begin(&mut self, about: About<'_>, now: Instant) {
        self.memory.refused = false;
        self.turn.reset();
        self.log.begin(about);
        self.deadline = now + self.limits.timeout;
        if let Some(computing) = &self.computing {
            computing.reset();
        }
        self.outgoing.begin(self.deadline);
    }

    /// Whether a guest that is computing has time left.
    pub(crate) fn has_time(&self) -> bool {
        Instant::now() < self.deadline && !self.has_computed_too_long()
    }

    pub(crate) fn has_computed_too_long(&self) -> bool {
        self.computing.as_ref().is_some_and(|c| c.is_spent())
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn computing(&self) -> Option<Arc<Computing>> {
        self.computing.clone()
    }

    pub(crate) fn settings(&self) -> &WasiConfigVariables {
        &self.settings
    }

    pub(crate) fn guest_log(&self) -> &GuestLog {
        &self.log
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outgoing,
        }
    }
}

/// Bounds the sum of all linear memories, and remembers a refusal: what the guest does next is usually a trap.
pub(crate) struct Memory {
    bytes: u64,
    bytes_max: u64,
    refused: bool,
}

impl Memory {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the guest asked for more than it may have during this call.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes + (desired.saturating_sub(current)) as u64;
        if bytes > self.bytes_max || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS_MAX)
    }
}
