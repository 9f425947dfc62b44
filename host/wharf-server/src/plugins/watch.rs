//! What wakes the keeper: the system's notice that something in the folder has changed.
//!
//! It is only ever a reason to look. Network file systems give no notice of what others write, and a watch ends with
//! the folder that it was put on: so the keeper looks every so often too, and renews the watch where the folder is
//! another one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

pub(super) struct Watch {
    dir: PathBuf,
    watcher: Option<Watcher>,
    seen: Arc<Seen>,
    /// The log has said that there is no watch.
    warned: bool,
}

struct Watcher {
    _watcher: RecommendedWatcher,
    node: Option<Node>,
}

#[derive(Default)]
struct Seen {
    something: Notify,
    renamed: Mutex<BTreeSet<OsString>>,
}

/// Device and inode: whether a folder is still the same one.
type Node = (u64, u64);

impl Watch {
    pub(super) fn new(dir: PathBuf) -> Watch {
        let mut watch = Watch {
            dir,
            watcher: None,
            seen: Arc::default(),
            warned: false,
        };
        watch.renew();
        watch
    }

    /// Watches the folder, where it is not watched or is another one by now.
    pub(super) fn renew(&mut self) {
        let node = node(&self.dir);
        if node.is_some() && self.watcher.as_ref().is_some_and(|w| w.node == node) {
            return;
        }
        self.watcher = None;
        match watch(&self.dir, Arc::clone(&self.seen)) {
            Ok(watcher) => {
                self.watcher = Some(Watcher {
                    _watcher: watcher,
                    node,
                });
                self.warned = false;
            }
            Err(error) if !self.warned => {
                self.warned = true;
                tracing::warn!(
                    dir = %self.dir.display(),
                    %error,
                    "the plugin folder cannot be watched; it is only looked at every few seconds"
                );
            }
            Err(_) => {}
        }
    }

    /// Waits until something has happened in the folder since the last wait.
    pub(super) async fn woken(&self) {
        self.seen.something.notified().await;
    }

    /// The files that were renamed into their place since the last call.
    pub(super) fn take_renamed(&self) -> BTreeSet<OsString> {
        std::mem::take(&mut *self.seen.renamed())
    }
}

impl Seen {
    fn renamed(&self) -> MutexGuard<'_, BTreeSet<OsString>> {
        self.renamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: &Event) {
        match event.kind {
            // Looking is no reason to look.
            EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => return,
            EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                let names = event.paths.last().and_then(|path| path.file_name());
                self.renamed().extend(names.map(OsString::from));
            }
            _ => {}
        }
        self.something.notify_one();
    }
}

fn watch(dir: &Path, seen: Arc<Seen>) -> notify::Result<RecommendedWatcher> {
    let mut watcher =
        notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) => seen.note(&event),
            // Something was missed: all the more reason to look.
            Err(_) => seen.something.notify_one(),
        })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

#[cfg(unix)]
fn node(dir: &Path) -> Option<Node> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(dir).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Where folders have no number, one that is there is the same.
#[cfg(not(unix))]
fn node(dir: &Path) -> Option<Node> {
    dir.is_dir().then_some((0, 0))
}
