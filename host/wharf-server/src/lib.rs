//! The async shell of wharf: configuration, HTTP API, dispatch, outgoing exchanges, life cycle.
//!
//! Decisions are taken in `wharf-core`; this crate brings time, chance, sockets and plugins to them. The rooms:
//!
//! - [`config`]: one file, checked whole before a port is bound.
//! - `http`: the API. Parses and bounds input, routes it, and answers once the store has it on disk.
//! - `disk`: what stops where the disk is nearly full.
//! - `dispatch`: takes ready deliveries, runs their hooks, settles them.
//! - `egress`: outgoing exchanges over pooled connections, past the address guard.
//! - `metrics`: numbers for Prometheus.
//! - [`plugins`]: keeps what runs in step with the plugin folder.
//! - `post_event`: tells post-event hooks what was stored.
//! - `reload`: changes channels and routes while the host runs.
//! - [`routing`]: where messages go, and why.
//! - [`server`]: starts and stops all of it, in order.
//! - [`store_file`]: the store's file without a host.

mod clock;
pub mod config;
mod degraded;
mod disk;
mod dispatch;
mod egress;
mod http;
mod limits;
mod metrics;
mod pauses;
pub mod plugins;
mod post_event;
mod reload;
mod retention;
pub mod routing;
pub mod server;
pub mod store_file;
mod updates;
mod workers;
