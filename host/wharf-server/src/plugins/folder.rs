//! When a file of the folder counts: what was seen of each file, and what is to be done about it.
//!
//! Editors and `cp` write in pieces, so a changed file counts once it has stood still for a moment and ends where a
//! component can end; one that is cut off gets longer, since what writes it may only be slow. One that was renamed
//! into its place was written elsewhere and counts at once. The moment is a guess: a copy that pauses for longer is
//! refused as cut off, and is looked at again when it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::limits::{PLUGIN_CUT_OFF_STILL, PLUGIN_STILL};

/// What a file looks like from outside. Two of the same content differ if one was written later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    size_bytes: u64,
    modified: Option<SystemTime>,
    /// Device, inode and time of the last change of either: what a rename and a chmod change.
    node: (u64, u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        #[cfg(unix)]
        let node = {
            use std::os::unix::fs::MetadataExt;
            let (device, inode) = (metadata.dev(), metadata.ino());
            (device, inode, metadata.ctime(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let node = Default::default();
        Stamp {
            size_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            node,
        }
    }
}

/// The component files of a folder, by name. One that cannot be looked at is not there.
pub(super) fn list(dir: &Path) -> io::Result<BTreeMap<OsString, Stamp>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_component = path
            .extension()
            .is_some_and(|extension| extension == "wasm");
        if let Some(name) = path.file_name()
            && is_component
            // Through links: some put a link to the current version here.
            && let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            files.insert(name.to_owned(), Stamp::of(&metadata));
        }
    }
    Ok(files)
}

/// What the configuration calls the plugin of a file.
pub(super) fn plugin_name(file: &OsStr) -> String {
    let stem = Path::new(file).file_stem().unwrap_or(file);
    stem.to_string_lossy().into_owned()
}

/// What is to be done about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is a new one, or another content.
    Put(OsString),
    /// It is there no more.
    Gone(OsString),
}

/// What was seen of the folder.
#[derive(Default)]
pub(super) struct Folder {
    files: BTreeMap<OsString, Seen>,
}

struct Seen {
    /// None: it is not there.
    stamp: Option<Stamp>,
    since: Instant,
    counted: bool,
}

impl Folder {
    /// What counts now, and when to look again where something may count later. Each state of a file counts once.
    pub(super) fn look(
        &mut self,
        listing: &BTreeMap<OsString, Stamp>,
        renamed: &BTreeSet<OsString>,
        is_whole: impl Fn(&OsString) -> bool,
        now: Instant,
    ) -> (Vec<Change>, Option<Instant>) {
        for (name, stamp) in listing {
            self.see(name, Some(stamp), now);
        }
        let gone: Vec<_> = self
            .files
            .keys()
            .filter(|name| !listing.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            self.see(&name, None, now);
        }

        let mut changes = Vec::new();
        let mut again: Option<Instant> = None;
        for (name, seen) in self.files.iter_mut().filter(|(_, seen)| !seen.counted) {
            let still = match &seen.stamp {
                Some(_) if renamed.contains(name) => Duration::ZERO,
                Some(_) if seen.since + PLUGIN_STILL <= now && !is_whole(name) => {
                    PLUGIN_CUT_OFF_STILL
                }
                _ => PLUGIN_STILL,
            };
            let counts_at = seen.since + still;
            if counts_at > now {
                again = Some(again.map_or(counts_at, |again| again.min(counts_at)));
                continue;
            }
            seen.counted = true;
            changes.push(match seen.stamp {
                Some(_) => Change::Put(name.clone()),
                None => Change::Gone(name.clone()),
            });
        }
        self.files
            .retain(|_, seen| seen.stamp.is_some() || !seen.counted);
        (changes, again)
    }

    /// Lets a file count once more, although it has not changed.
    pub(super) fn forget(&mut self, name: &OsString) {
        if let Some(seen) = self.files.get_mut(name) {
            seen.counted = false;
        }
    }

    fn see(&mut self, name: &OsString, stamp: Option<&Stamp>, now: Instant) {
        let known = self.files.get(name);
        if known.is_some_and(|seen| seen.stamp.as_ref() == stamp) {
            return;
        }
        let seen = Seen {
            stamp: stamp.cloned(),
            since: now,
            counted: false,
        };
        self.files.insert(name.clone(), seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// One look at one file `a` of this size (None: it is not there).
    struct Scene {
        folder: Folder,
        now: Instant,
    }

    impl Scene {
        fn look(&mut self, size: Option<u64>, is_whole: bool, renamed: bool) -> Vec<Change> {
            let stamp = |size_bytes| Stamp {
                size_bytes,
                modified: None,
                node: Default::default(),
            };
            let listing = size.map(|size| (OsString::from("a"), stamp(size)));
            let renamed = renamed.then(|| OsString::from("a"));
            let (changes, again) = self.folder.look(
                &listing.into_iter().collect(),
                &renamed.into_iter().collect(),
                |_| is_whole,
                self.now,
            );
            assert!(again.is_none_or(|again| again > self.now));
            changes
        }
    }

    /// Goal: a file counts once for each of its states, when it stands still.
    #[test]
    fn a_file_counts_when_it_stands_still() {
        let mut scene = Scene {
            folder: Folder::default(),
            now: Instant::now(),
        };
        let put = [Change::Put("a".into())];
        let gone = [Change::Gone("a".into())];

        // It grows: every piece starts the wait anew.
        for size in 1..4 {
            assert_eq!(scene.look(Some(size), true, false), []);
            scene.now += PLUGIN_STILL - MOMENT;
        }
        assert_eq!(scene.look(Some(3), true, false), []);
        scene.now += MOMENT;
        assert_eq!(scene.look(Some(3), true, false), put);
        assert_eq!(scene.look(Some(3), true, false), []);

        // It is cut off: it gets longer, unless the rest comes.
        assert_eq!(scene.look(Some(2), false, false), []);
        scene.now += PLUGIN_STILL;
        assert_eq!(scene.look(Some(2), false, false), []);
        scene.now += PLUGIN_CUT_OFF_STILL - PLUGIN_STILL;
        assert_eq!(scene.look(Some(2), false, false), put);
        assert_eq!(scene.look(Some(9), true, false), []);
        scene.now += PLUGIN_STILL;
        assert_eq!(scene.look(Some(9), true, false), put);

        // A rename needs no wait, whatever the file is. A file that is gone does: what removed it may be writing the
        // next one.
        assert_eq!(scene.look(Some(5), false, true), put);
        assert_eq!(scene.look(None, true, false), []);
        assert_eq!(scene.look(Some(6), true, true), put);
        assert_eq!(scene.look(None, true, false), []);
        scene.now += PLUGIN_STILL;
        assert_eq!(scene.look(None, true, false), gone);
        assert_eq!(scene.look(None, true, false), []);

        // The same again, if it is asked for.
        assert_eq!(scene.look(Some(6), true, true), put);
        scene.folder.forget(&"a".into());
        scene.now += PLUGIN_STILL;
        assert_eq!(scene.look(Some(6), true, false), put);
        assert_eq!(scene.look(Some(6), true, false), []);
    }
}
