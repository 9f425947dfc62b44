//! Which store a command is about: a file, or the one that a host runs on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use wharf_api::Client;
use wharf_server::config::{self, Config, Overrides};
use wharf_server::store_file::{self, OpenError, StoreFile};

use super::bar::Bar;
use crate::arguments::{self, StorePlace};
use crate::failure::Failure;

/// A store that is looked at.
pub(super) enum Store {
    /// A file that no host runs on.
    File(StoreFile),
    /// One that a host runs on.
    Host(Client),
}

/// The store that is asked for, wherever it is; a file's pages are verified where `is_verified`, which reads all of them.
pub(super) fn anywhere(place: &StorePlace, is_verified: bool) -> Result<Store, Failure> {
    let client = |url: &str| Store::Host(Client::new(url, place.token.clone()));
    if let Some(path) = &place.file.file {
        return file(path, is_verified).map(Store::File);
    }
    if let Some(url) = &place.url {
        return Ok(client(url));
    }
    let config = load(&place.file.config)?;
    match opened(&config.store_path, is_verified) {
        Ok(file) => Ok(Store::File(file)),
        Err(OpenError::Locked { .. }) => Ok(client(&url(config.listen)?)),
        Err(cause) => Err(failed(cause, &config.store_path)),
    }
}

/// The file that is asked for.
pub(super) fn path(file: &arguments::StoreFile) -> Result<PathBuf, Failure> {
    match &file.file {
        Some(path) => Ok(path.clone()),
        None => Ok(load(&file.config)?.store_path),
    }
}

/// Opens a file that no host runs on, to look at it.
pub(super) fn file(path: &Path, is_verified: bool) -> Result<StoreFile, Failure> {
    opened(path, is_verified).map_err(|cause| failed(cause, path))
}

fn opened(path: &Path, is_verified: bool) -> Result<StoreFile, OpenError> {
    let bar = Bar::new("opening");
    let opened = store_file::open(path, is_verified, {
        let bar = bar.clone();
        move |progress| bar.tell(progress)
    });
    bar.clear();
    opened
}

fn load(path: &Path) -> Result<Config, Failure> {
    let overrides = Overrides {
        store_path: std::env::var_os("WHARF_STORE_PATH").map(PathBuf::from),
        listen: std::env::var("WHARF_API_LISTEN").ok(),
        token: std::env::var("WHARF_API_TOKEN").ok(),
        plugin_dir: std::env::var_os("WHARF_PLUGINS_DIR").map(PathBuf::from),
    };
    config::load(path, overrides).map_err(|problems| {
        Failure::failed(problems).hint("name the store's file with --file, or `wharf config check`")
    })
}

/// Where a host that listens there is asked from this machine.
fn url(listen: SocketAddr) -> Result<String, Failure> {
    if listen.port() == 0 {
        return Err(Failure::failed(anyhow::anyhow!(
            "a host runs on the store, on a port of its own choice"
        ))
        .hint("name it with --url: it says at its start where it listens"));
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(format!("http://{}", SocketAddr::new(ip, listen.port())))
}

/// A file that was not opened, with what to try next.
pub(super) fn failed(cause: OpenError, path: &Path) -> Failure {
    let hint = match &cause {
        OpenError::Locked { .. } => {
            "a host runs on it: stop it, or work on a copy that `wharf store backup` makes meanwhile"
        }
        other => hint(other),
    };
    Failure::failed(cause)
        .context(format!("cannot open the store {}", path.display()))
        .hint(hint)
}

/// What to do about a store that cannot be opened.
pub(in crate::command) fn hint(cause: &OpenError) -> &'static str {
    match cause {
        OpenError::Locked { .. } => {
            "one host runs on a store: stop the other, or name another file with --store"
        }
        OpenError::NewerFormat { .. } => {
            "use the version of wharf that wrote it; its `wharf store export` and this one's `wharf store import` bring it back"
        }
        OpenError::OlderFormat { .. } => {
            "begin a new file with --store; what the old one has is read by the draft that wrote it"
        }
        OpenError::LogMissing { .. } => {
            "a store that was not closed is two files: bring the other one too, or a backup"
        }
        OpenError::NotAStore => "check the path: the file is left as it is",
        OpenError::Damaged { .. } => {
            "put a backup in its place; the file is left as it is, and `wharf store check --file` says what can be read of it"
        }
        OpenError::Permission { .. } => {
            "let the user that runs wharf read and write the file and its folder"
        }
        OpenError::Io { .. } => "check the path and the disk",
        OpenError::Read(_) => {
            "`wharf store check` says all that is wrong; put a backup in its place"
        }
    }
}
