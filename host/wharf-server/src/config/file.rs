//! The file's shape. Every key's doc says its default, unit and meaning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::Deserialize;

use super::token::Tokens;
use super::value::{Duration, Rate, Secret, Setting, Size};

/// `wharf.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) store: Store,
    pub(super) api: Api,
    pub(super) egress: Egress,
    /// The keys of [`Plugins`], and a table for each plugin by name.
    pub(super) plugins: toml::Table,
    pub(super) hooks: Hooks,
    #[serde(rename = "channel")]
    pub(super) channels: Vec<Channel>,
    #[serde(rename = "route")]
    pub(super) routes: Vec<Route>,
}

/// `[store]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Store {
    /// The store's file, relative to `wharf.toml`. Default `wharf.redb`.
    pub(super) path: PathBuf,
    /// While less of its disk is free, no message is accepted (503). Default `1GiB`; `0` is no such mark.
    pub(super) accept_free: Size,
    /// While less of its disk is free, nothing is sent either. At most `accept-free`. Default `256MiB`.
    pub(super) dispatch_free: Size,
    /// How long a message is kept after its last delivery ended well: delivered, expired, cancelled, superseded. `0s` is
    /// as soon as it ended. Default `7d`.
    pub(super) retention: Duration,
    /// How long it is kept where a delivery is dead, rejected or shed, or where no route matched it. Default `30d`.
    pub(super) dead_letter_retention: Duration,
    /// How long an id is known after its message was accepted: sent again, it is a duplicate. It is known for as long as
    /// the message is kept, too. Default `7d`.
    pub(super) deduplication_window: Duration,
    /// What all messages in the file may take. Past it those that ended are removed before their time, the oldest first,
    /// dead letters too. Default: no limit.
    pub(super) retention_size: Option<Size>,
    /// How long a row of the journal is kept. Not shorter than the two retentions. Default: the longest of these and
    /// `30d`.
    pub(super) journal_retention: Option<Duration>,
    /// What the journal may take. Past it rows are removed before their time, and messages that ended with the last rows
    /// about them. Default: no limit.
    pub(super) journal_size: Option<Size>,
    /// What the journal may take at most. Past it rows are removed although a post-event hook has yet to be told of
    /// them; it is told of the gap. Not less than `journal-size`. Default `16GiB`.
    pub(super) journal_hard_cap: Size,
}

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "wharf.redb".into(),
            accept_free: Size(ByteSize::gib(1)),
            dispatch_free: Size(ByteSize::mib(256)),
            retention: Duration(7 * DAY),
            dead_letter_retention: Duration(30 * DAY),
            deduplication_window: Duration(7 * DAY),
            retention_size: None,
            journal_retention: None,
            journal_size: None,
            journal_hard_cap: Size(ByteSize::gib(16)),
        }
    }
}

/// `[api]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Api {
    /// Address and port; port 0 takes a free one. Default `127.0.0.1:8470`.
    pub(super) listen: String,
    /// The token that callers send as `Authorization: Bearer …`: `{ env = "NAME" }`, `{ file = "path" }` or the
    /// text, without the blanks and line ends around it. It is good for everything. Where callers are to be told
    /// apart, each has a table `[[api.token]]` instead: `name`, `token`, and `scopes`, some of `send`, `read`,
    /// `operate` and `receive`. Without any only a loopback address can be listened on.
    pub(super) token: Option<Tokens>,
    /// Whether a message is refused that has no id and comes without an `Idempotency-Key`: one that cannot be sent again
    /// safely. Default false.
    pub(super) require_idempotency: bool,
    /// Largest payload, at most `16MiB`. Default `1MiB`.
    pub(super) payload_max: Option<Size>,
    /// How long a stop waits for what is in flight, at most `24h`. Default `30s`.
    pub(super) drain_timeout: Option<Duration>,
    /// A file with the `[[route]]` tables in the place of this one's, relative to `wharf.toml`: `PUT /v1/routes` writes it.
    /// Default none: the routes stand here, and the API does not change them.
    pub(super) routes_file: Option<PathBuf>,
    /// Threads that serve the API, 1 to 64. Each takes some tens of thousands of requests a second. Default: one for
    /// every four processors.
    pub(super) threads: Option<usize>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8470".into(),
            token: None,
            require_idempotency: false,
            payload_max: None,
            drain_timeout: None,
            routes_file: None,
            threads: None,
        }
    }
}

/// `[egress]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Egress {
    /// Networks (CIDR) that may be reached although they are loopback, private or otherwise not public.
    pub(super) allow_addresses: Vec<String>,
    /// PEM files of authorities that TLS trusts, relative to `wharf.toml`. Default none.
    pub(super) ca_certificates: Vec<PathBuf>,
    /// Whether TLS trusts the authorities of this machine too. Default true.
    pub(super) native_roots: Option<bool>,
    /// What is shown to receivers that ask who we are.
    pub(super) client_certificate: Vec<ClientCertificate>,
}

/// `[[egress.client-certificate]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientCertificate {
    /// Whom it is shown to: `https://host[:port]`.
    pub(super) origin: String,
    /// PEM file of the certificate, and of those between it and its authority.
    pub(super) certificate: PathBuf,
    /// PEM file of its key. May be the same file.
    pub(super) key: PathBuf,
}

/// The plain keys of `[plugins]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Plugins {
    /// The plugin folder, relative to `wharf.toml`. Default `plugins`.
    pub(super) dir: Option<PathBuf>,
    /// Where compiled plugins are kept; trusted code, so it must be ours alone. Default `.wharf-cache` beside
    /// the store.
    pub(super) cache_dir: Option<PathBuf>,
    /// Live instances over all plugins, at least 1. Default 128.
    pub(super) instances_max: Option<usize>,
    /// Time for compiling one plugin, `1s` to `1h`. Default `2m`.
    pub(super) compile_timeout: Option<Duration>,
    /// Memory (address space) of the process that compiles one plugin, `256MiB` to `64GiB`. Default `4GiB`.
    pub(super) compile_memory_max: Option<Size>,
}

/// `[plugins.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Plugin {
    /// URLs that it may ask for beside its channel's configured `url`: `scheme://host[:port]`, the host perhaps
    /// `*.example.com`, the port perhaps `*`. Default none.
    pub(super) allow_http: Vec<String>,
    /// Methods that it may use, such as `["POST"]`, in its own requests and in those that the host makes for it.
    /// Default all.
    pub(super) allow_http_methods: Option<Vec<String>>,
    /// Requests of its own, through `wasi:http`, at the same time, at least 1. Default 32.
    pub(super) http_calls_max: Option<usize>,
    /// Folders that it may use. Default none.
    pub(super) folders: Vec<Folder>,
    /// Time for one call into it, at most `1h`; a `channel`, whose calls may take the channel's `timeout`, computes no
    /// longer than this. Default `10s`.
    pub(super) timeout: Option<Duration>,
    /// Memory of one instance, `64KiB` to `1GiB`. Default `128MiB`.
    pub(super) memory_max: Option<Size>,
    /// Calls into it at the same time, at least 1. Default 16.
    pub(super) instances_max: Option<usize>,
    /// What it may give back in one call, `64KiB` to `1GiB`. Default `32MiB`.
    pub(super) output_max: Option<Size>,
    /// Lines a second that each use of it may log for long, at least 1. Default 1000.
    pub(super) log_lines_per_second: Option<u32>,
    /// The digest that its file must have, in hex.
    pub(super) sha256: Option<String>,
}

/// See [`Plugin::folders`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Folder {
    /// Where it is, relative to `wharf.toml`. It must be there.
    pub(super) path: PathBuf,
    /// What the plugin knows it by, such as `/out`.
    pub(super) at: String,
    /// Whether the plugin may change what is in it. Default false.
    #[serde(default)]
    pub(super) write: bool,
}

/// `[hooks]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Hooks {
    /// Told of every stored transition.
    pub(super) post_event: Vec<Use>,
    /// Decides where messages go, in the place of `[[route]]` tables. It has no grants. Default none: the routes decide.
    pub(super) router: Option<Use>,
}

/// A use of a hook: the plugin's name, or a table with its settings.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a plugin name or { plugin = \"name\", config = { … } }"
)]
pub(super) enum Use {
    /// `"stamp"`
    Plain(String),
    /// `{ plugin = "stamp", config = { … } }`
    Full(FullUse),
}

/// See [`Use`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FullUse {
    /// The plugin's name.
    pub(super) plugin: String,
    /// For post-event hooks: what the cursor is kept under. Default: the plugin's name.
    pub(super) name: Option<String>,
    /// Its settings.
    #[serde(default)]
    pub(super) config: BTreeMap<String, Setting>,
}

/// `[[channel]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Channel {
    /// Its name: `[A-Za-z0-9_-]{1,64}`.
    pub(super) name: String,
    /// The plugin that delivers.
    pub(super) plugin: String,
    /// The plugin's settings. Text is passed as it is, anything else as JSON text.
    #[serde(default)]
    pub(super) config: BTreeMap<String, Setting>,
    /// Enrichers, in order.
    #[serde(default)]
    pub(super) enrich: Vec<Use>,
    /// Converters, in order: the next one takes what the last one gave.
    #[serde(default)]
    pub(super) convert: Vec<Use>,
    /// Annotators, in order: what they note of an attempt is in the journal.
    #[serde(default)]
    pub(super) annotate: Vec<Use>,
    /// Reads what partners report to `POST /v1/channels/{name}/receipts`, in their own form. Default none: our form is read.
    pub(super) receive: Option<Use>,
    /// How long a report is kept that is about a delivery which is not known, or not known to have been sent; then it is
    /// parked. A partner's callback can be faster than our own record of what it answers. At most `7d`. Default `10m`.
    pub(super) receipt_grace: Option<Duration>,
    /// Attempts at the same time, 1 to 100000; as many more deliveries may have been sent and wait to be recorded, which
    /// a crash repeats too. Of a plugin that does its own I/O, no more than its `instances-max`. Default 64.
    pub(super) parallelism: Option<usize>,
    /// Time for the exchanges of one attempt, or for the one call into a plugin that does its own I/O, at most `24h`.
    /// Default `30s`.
    pub(super) timeout: Option<Duration>,
    /// Attempts at the same time of one lane, which is what of a channel goes to one scheme and authority: 1 to
    /// `parallelism`. By default a lane has any place, but where a channel has eight places or more one of four stays
    /// free for the others.
    pub(super) lane_parallelism: Option<usize>,
    /// Attempts of the channel, such as `100/s`, `600/m` or `5000/h`; up to 100 ms' worth at once. Default: any.
    pub(super) rate: Option<Rate>,
    /// Attempts of each of its lanes.
    pub(super) lane_rate: Option<Rate>,
    /// When a lane, or the channel, that fails again and again is left alone.
    #[serde(default)]
    pub(super) breaker: Breaker,
    /// `none`, or `key`: of the messages with the same ordering key none is sent before the one before it was delivered.
    /// Those without a key, those that were to be delayed and those that were redriven are in no order. Default `none`.
    #[serde(default)]
    pub(super) order: Order,
    /// With `order = "key"`: how far the one before has to come. `delivered`, or `accepted`: the receiver has taken it and
    /// will tell. Default `delivered`.
    pub(super) order_until: Option<Until>,
    /// With `order = "key"`: what becomes of the next one where one is dead, rejected or shed. `continue`, or `block`: it
    /// waits until that one is redriven or removed. Default `continue`.
    pub(super) on_dead: Option<OnDead>,
    /// When to try again.
    #[serde(default)]
    pub(super) retry: Retry,
}

/// `channel.order`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    #[default]
    None,
    Key,
}

/// `channel.order-until`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    Delivered,
    Accepted,
}

/// `channel.on-dead`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnDead {
    Continue,
    Block,
}

/// `[channel.breaker]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Breaker {
    /// Failures in a row that open it, up to 1000000; 0: it never opens. Those count that are said to be the
    /// destination's or the channel's, no others. Default 10.
    pub(super) failures: Option<u32>,
    /// How long nothing is sent the first time, at most `24h`; twice as long each time that it fails again. Default `5s`.
    pub(super) wait: Option<Duration>,
    /// The longest wait, from `wait` to `24h`. Default `5m`, or `wait` where that is longer.
    pub(super) wait_max: Option<Duration>,
    /// Attempts after a wait that have to do well until all are made again, 1 to 1000. Default 1.
    pub(super) probes: Option<u32>,
}

/// `[channel.retry]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Retry {
    /// A preset's name, or the waits one by one: `["5s", "5m"]`, each at most 30 days. Excludes `base`, `factor` and `max`.
    pub(super) schedule: Option<Schedule>,
    /// Attempts in all, the first included. Default 16, or what the schedule has.
    pub(super) attempts: Option<u32>,
    /// Wait after the first attempt, at most 30 days. Default `1s`.
    pub(super) base: Option<Duration>,
    /// Growth of the wait. Default 2.
    pub(super) factor: Option<f64>,
    /// The longest wait, at most 30 days. Default `1h`.
    pub(super) max: Option<Duration>,
    /// Share by which a wait varies, 0 to 1. Default 0.2.
    pub(super) jitter: Option<f64>,
    /// Age of a message past which no attempt is made, at most 30 days. Default none.
    pub(super) max_age: Option<Duration>,
}

/// See [`Retry::schedule`].
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a preset's name or a list of waits such as [\"5s\", \"5m\"]"
)]
pub(super) enum Schedule {
    Preset(String),
    Waits(Vec<Duration>),
}

/// `[[route]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Route {
    /// Its name: `[A-Za-z0-9_-]{1,64}`. Default `route-N` by its place, from 1.
    pub(super) name: Option<String>,
    /// What must hold: attribute names, or JSON pointers into the payload (they begin with `/`), and text (`*` at
    /// the end: a prefix), a list of texts (one of them), or true/false (it exists or not). A pointer also takes
    /// numbers. `{ equals = … }` takes a value as it is: a text that ends with `*`, and, for a pointer, true or false.
    /// Default: everything matches.
    #[serde(default, rename = "match")]
    pub(super) conditions: BTreeMap<String, toml::Value>,
    /// Where the message goes.
    pub(super) channels: Vec<String>,
    /// Whether later routes are left out once this one matched. Default false.
    #[serde(default)]
    pub(super) stop: bool,
    /// Whether it is only for what no other route matched. The last route alone can be that, and it has no `match`. Default
    /// false.
    #[serde(default)]
    pub(super) catch_all: bool,
    /// `fan-out`: every channel gets a delivery. `failover`: the first does, and the next one where that is given up.
    /// Default `fan-out`.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Definite failures of a channel after which a failover goes on to the next, 1 to 1000: the receiver certainly does not
    /// have the message. Default 1.
    pub(super) failover_after: Option<u32>,
}

/// The file that `api.routes-file` names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RoutesFile {
    #[serde(rename = "route")]
    pub(super) routes: Vec<Route>,
}

/// See [`Route::mode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    #[default]
    FanOut,
    Failover,
}

/// What the environment and flags put over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `WHARF_STORE_PATH`, `--store`
    pub store_path: Option<PathBuf>,
    /// `WHARF_API_LISTEN`, `--listen`
    pub listen: Option<String>,
    /// `WHARF_API_TOKEN`
    pub token: Option<String>,
    /// `WHARF_PLUGINS_DIR`, `--plugins`
    pub plugin_dir: Option<PathBuf>,
}

impl Overrides {
    /// Says what cannot be put over the file.
    pub(super) fn apply(self, file: &mut File) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(path) = self.store_path {
            file.store.path = path;
        }
        if let Some(listen) = self.listen {
            file.api.listen = listen;
        }
        match (self.token, &file.api.token) {
            (None, _) => {}
            // Taking the place of all of them would shut every caller out but one, and give that one every scope.
            (Some(_), Some(Tokens::Named(_))) => problems.push(
                "api.token: the file has [[api.token]] tables, so WHARF_API_TOKEN and --api-token have no place: \
                 unset them, or name a variable in a table"
                    .to_owned(),
            ),
            (Some(token), _) => file.api.token = Some(Tokens::One(Secret::Text(token))),
        }
        if let Some(dir) = self.plugin_dir {
            let dir = toml::Value::String(dir.to_string_lossy().into_owned());
            file.plugins.insert("dir".to_owned(), dir);
        }
        problems
    }
}

/// A path of the file, relative to where the file is.
pub(super) fn beside(base: &Path, path: &Path) -> PathBuf {
    base.join(path)
}
