//! The command line's definition.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wharf_server::plugins::COMPILE_COMMAND;

/// Accepts messages, keeps them in a durable queue, delivers them through WebAssembly plugins.
///
/// Exit codes: 0 done, 1 failed, 2 called wrongly. Data goes to standard output, everything else to standard
/// error.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a folder with a configuration and the shipped plugins.
    Init(Init),
    /// Run the host.
    Serve(Serve),
    /// Send messages.
    Send(Send),
    /// Show a message and where it stands.
    Get(ById),
    /// Explain what happened to a message and what comes next.
    Why(ById),
    /// Show the journal of a message, or search all of it.
    Journal(Journal),
    /// Cancel what was not sent yet of a message.
    Cancel(ById),
    /// Look at deliveries by their status.
    #[command(subcommand)]
    Delivery(Delivery),
    /// Look at what was given up, and send it again.
    #[command(subcommand)]
    DeadLetter(DeadLetter),
    /// Look at what could not be used and was put aside.
    #[command(subcommand)]
    Parked(Parked),
    /// Look at channels, pause and resume them.
    #[command(subcommand)]
    Channel(Channel),
    /// Look at plugins.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Look at routes.
    #[command(subcommand)]
    Route(Route),
    /// Look at the store's file, check it, copy it, carry it over.
    #[command(subcommand)]
    Store(Store),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Compile the component on standard input: what `serve` runs for each, as a process with limits.
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompilePlugin(CompilePlugin),
}

/// Where the host is.
#[derive(Debug, Args)]
pub(crate) struct Host {
    /// The host's API.
    #[arg(
        long,
        env = "WHARF_URL",
        default_value = "http://127.0.0.1:8470",
        value_name = "URL"
    )]
    pub(crate) url: String,
    /// The API token.
    #[arg(
        long,
        env = "WHARF_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder; made if missing, never overwritten.
    pub(crate) dir: PathBuf,
}

/// Which configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        short,
        env = "WHARF_CONFIG",
        default_value = "wharf.toml",
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
    /// Put over store.path.
    #[arg(long, env = "WHARF_STORE_PATH", value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// Put over api.listen.
    #[arg(long, env = "WHARF_API_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Put over plugins.dir.
    #[arg(long, env = "WHARF_PLUGINS_DIR", value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Put over api.token.
    #[arg(
        long,
        env = "WHARF_API_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) api_token: Option<String>,
    /// What to log: a level, or directives such as `info,wharf_server=debug`.
    #[arg(long, env = "WHARF_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// How to log.
    #[arg(
        long,
        env = "WHARF_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) host: Host,
    /// The payload's file; `-` or nothing reads standard input.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The message's id; made where it is missing.
    #[arg(long, value_name = "ID", conflicts_with = "ndjson")]
    pub(crate) id: Option<String>,
    /// An attribute; routes match on them.
    #[arg(long = "attr", short, value_name = "KEY=VALUE", value_parser = pair, conflicts_with = "ndjson")]
    pub(crate) attributes: Vec<(String, String)>,
    /// A header field.
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "ndjson")]
    pub(crate) headers: Vec<(String, String)>,
    /// The payload's media type. A payload that is JSON is sent as application/json without being asked.
    #[arg(long, value_name = "TYPE", conflicts_with = "ndjson")]
    pub(crate) content_type: Option<String>,
    /// The ordering key.
    #[arg(long, value_name = "KEY", conflicts_with = "ndjson")]
    pub(crate) ordering_key: Option<String>,
    /// What makes it safe to send again: the same key with the same message is the same message. For a batch it gives ids
    /// to the lines that have none.
    #[arg(long, value_name = "KEY", value_parser = key, conflicts_with = "id")]
    pub(crate) idempotency_key: Option<String>,
    /// The input is a batch: one message in the JSON form a line. It is sent in pieces while it is read.
    #[arg(long)]
    pub(crate) ndjson: bool,
    /// The input is a CloudEvent, as one JSON object.
    #[arg(
        long,
        conflicts_with_all = ["ndjson", "id", "attributes", "headers", "content_type", "ordering_key", "idempotency_key"]
    )]
    pub(crate) cloudevent: bool,
    /// Print the answers as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ById {
    #[command(flatten)]
    pub(crate) host: Host,
    /// The message's id.
    pub(crate) id: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Delivery {
    /// List deliveries.
    List(List),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetter {
    /// List what was given up: dead, rejected, shed, and messages that no route matched.
    List(List),
    /// Send dead letters again: those of one message, or all.
    Redrive(Redrive),
}

/// Which part of a list.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Entries at most [default: 100].
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// Go on where a list ended, with what it said was next.
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
}

/// A list of deliveries.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) host: Host,
    /// Only these statuses, with commas between.
    #[arg(long, value_name = "STATUS,…")]
    pub(crate) status: Option<String>,
    /// Only this channel.
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// List it, the oldest first: events that a post-event hook never took.
    List(ListParked),
}

#[derive(Debug, Args)]
pub(crate) struct Journal {
    #[command(flatten)]
    pub(crate) host: Host,
    /// The message's id.
    #[arg(required_unless_present = "note")]
    pub(crate) id: Option<String>,
    /// Search for what plugins noted of attempts: the note's name, or name and value.
    #[arg(long, value_name = "NAME[=VALUE]", conflicts_with = "id")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListParked {
    #[command(flatten)]
    pub(crate) host: Host,
    #[command(flatten)]
    pub(crate) page: Page,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Redrive {
    #[command(flatten)]
    pub(crate) host: Host,
    /// The message's id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) id: Option<String>,
    /// All dead letters, or those that --status and --channel name.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only these statuses, with commas between: dead, rejected, shed, unroutable.
    #[arg(long, value_name = "STATUS,…", conflicts_with = "id")]
    pub(crate) status: Option<String>,
    /// Only deliveries of this channel.
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// Deliveries a second, at most.
    #[arg(long, value_name = "N", conflicts_with = "id", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Enrich and convert it again, instead of sending what was stored.
    #[arg(long)]
    pub(crate) reconvert: bool,
    /// Give it a new idempotency key: a receiver that dropped it as a repeat takes it then.
    #[arg(long)]
    pub(crate) new_key: bool,
    /// Say what would be sent again, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Channel {
    /// List the channels and how they are doing.
    List(ChannelList),
    /// Stop a channel, or one of its lanes, from sending. What is in flight ends; what is accepted waits.
    Pause(ChannelPause),
    /// Let a paused channel, or one of its lanes, send again.
    Resume(ChannelResume),
}

#[derive(Debug, Args)]
pub(crate) struct ChannelList {
    #[command(flatten)]
    pub(crate) host: Host,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChannelPause {
    #[command(flatten)]
    pub(crate) host: Host,
    /// The channel's name.
    pub(crate) name: String,
    /// Only what goes to this host: a URL such as https://partner.example.
    #[arg(long, value_name = "URL")]
    pub(crate) lane: Option<String>,
    /// One sentence, for whoever finds it paused.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChannelResume {
    #[command(flatten)]
    pub(crate) host: Host,
    /// The channel's name.
    pub(crate) name: String,
    /// Only what goes to this host: a URL such as https://partner.example.
    #[arg(long, value_name = "URL")]
    pub(crate) lane: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// List the plugin folder as the host sees it.
    List(PluginList),
    /// Say what a file is, and why it would not load, without a host.
    Check(PluginCheck),
}

#[derive(Debug, Args)]
pub(crate) struct PluginList {
    #[command(flatten)]
    pub(crate) host: Host,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginCheck {
    /// The component. Its name without `.wasm` is the plugin's.
    pub(crate) file: PathBuf,
    /// The configuration file whose grants and limits count. Without one, `wharf.toml` if it is there.
    #[arg(long, short, env = "WHARF_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Route {
    /// List the routes of a host, in order.
    List(RouteList),
    /// Put routes in the place of all that a host has. It takes a host whose configuration names a file of routes.
    Put(RoutePut),
    /// Say where a message would go, which routes match, which do not and why, without a host.
    Explain(RouteExplain),
}

#[derive(Debug, Args)]
pub(crate) struct RouteList {
    #[command(flatten)]
    pub(crate) host: Host,
    /// Print JSON, as `wharf route put` takes it.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RoutePut {
    #[command(flatten)]
    pub(crate) host: Host,
    /// All routes as JSON, as `wharf route list --json` prints them; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RouteExplain {
    /// A message in the JSON form; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// The configuration file.
    #[arg(
        long,
        short,
        env = "WHARF_CONFIG",
        default_value = "wharf.toml",
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Passed on by the host.
#[derive(Debug, Args)]
pub(crate) struct CompilePlugin {
    #[arg(long)]
    pub(crate) memory_bytes: u64,
    #[arg(long)]
    pub(crate) cpu_seconds: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say what is wrong with the configuration, without starting.
    Check(ConfigCheck),
    /// Have a host read its configuration again, and use its channels and routes.
    Reload(ConfigReload),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigReload {
    #[command(flatten)]
    pub(crate) host: Host,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheck {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Say what is in the store: of a host that runs, or of a file.
    Stat(StoreStat),
    /// Verify every promise that a file is held to, and say all that is wrong. Changes nothing of it.
    Check(StoreCheck),
    /// Give the file's free space back. Takes a file that no host runs on.
    Compact(StoreCompact),
    /// Copy the store, as of one moment: from a host that runs and goes on meanwhile, or from a file.
    Backup(StoreBackup),
    /// Write all of the store as text, one JSON object a line. Takes a file that no host runs on: of a host that runs,
    /// export a backup.
    Export(StoreExport),
    /// Make a new store of what `wharf store export` wrote, also in another version, and check it.
    Import(StoreImport),
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct StoreFile {
    /// The store's file, instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The configuration file.
    #[arg(
        long,
        short,
        env = "WHARF_CONFIG",
        default_value = "wharf.toml",
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
}

/// Which file, or which host.
#[derive(Debug, Args)]
pub(crate) struct StorePlace {
    #[command(flatten)]
    pub(crate) file: StoreFile,
    /// The API of the host that runs on it. Without it, and where the file that the configuration names is in use, the one
    /// that the configuration names.
    #[arg(long, env = "WHARF_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The API token.
    #[arg(
        long,
        env = "WHARF_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreStat {
    #[command(flatten)]
    pub(crate) place: StorePlace,
    /// Leave out the sizes of tables and the free space, which take reading the whole file.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCheck {
    #[command(flatten)]
    pub(crate) file: StoreFile,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCompact {
    #[command(flatten)]
    pub(crate) file: StoreFile,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreBackup {
    #[command(flatten)]
    pub(crate) place: StorePlace,
    /// The copy; never overwritten. It is a store's file: a host can run on it.
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StoreExport {
    #[command(flatten)]
    pub(crate) file: StoreFile,
    /// Where it goes; never overwritten. `-` writes standard output.
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StoreImport {
    /// The export; `-` reads standard input.
    pub(crate) input: PathBuf,
    /// The new store's file; never overwritten.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What an `Idempotency-Key` can carry.
fn key(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("it takes printable ASCII, at least one character".to_owned());
    }
    Ok(text.to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as key=value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// clap checks its definition when it is used; this uses all of it.
    #[test]
    fn the_definition_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
