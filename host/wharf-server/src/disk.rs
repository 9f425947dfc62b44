//! How much room the store's file system has left, and what stops where that is little.
//!
//! | free | accepts | deliveries |
//! | --- | --- | --- |
//! | above `store.accept-free` | yes | yes |
//! | below it | 503 `disk-low`: what is stored goes on, and its end is recorded in the room that is left | yes |
//! | below `store.dispatch-free` | 503 | none begins: what came of it could not be recorded |
//!
//! A mark that was passed counts again when a tenth more than it is free, so that a host at the mark does not go on and
//! off with each commit.
//!
//! Limits of the choice: others can fill the disk between two looks; then a commit fails, which ends the process. What
//! cannot be measured counts as room.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::degraded::Degraded;
use crate::limits::DISK_LOOK_EVERY;

/// The two marks, in bytes that are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) accept: u64,
    pub(crate) dispatch: u64,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// Neither accepts nor deliveries.
    Nothing,
    /// What is stored already.
    Deliveries,
    /// Everything.
    Accepts,
}

impl Marks {
    /// What there is room for, after there was `room`.
    fn judge(self, free: u64, room: Room) -> Room {
        let again = |mark: u64| mark.saturating_add(mark / 10);
        let mark = |mark: u64, is_passed: bool| if is_passed { again(mark) } else { mark };
        if free < mark(self.dispatch, room == Room::Nothing) {
            Room::Nothing
        } else if free < mark(self.accept, room < Room::Accepts) {
            Room::Deliveries
        } else {
            Room::Accepts
        }
    }
}

/// Looks at the disk.
pub(crate) struct Disk {
    /// The store's folder.
    dir: PathBuf,
    marks: Marks,
    room: watch::Sender<Room>,
    free: watch::Sender<Option<u64>>,
    degraded: Degraded,
}

/// What health and the log call it.
const HEALTH_NAME: &str = "disk";

impl Disk {
    /// Looks for the first time.
    pub(crate) async fn new(store: &Path, marks: Marks, degraded: Degraded) -> Self {
        let parent = store.parent().filter(|dir| !dir.as_os_str().is_empty());
        let disk = Self {
            dir: parent.unwrap_or(Path::new(".")).to_owned(),
            marks,
            room: watch::Sender::new(Room::Accepts),
            free: watch::Sender::default(),
            degraded,
        };
        disk.look().await;
        disk
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Room> {
        self.room.subscribe()
    }

    /// What is free, where that can be found out.
    pub(crate) fn subscribe_free(&self) -> watch::Receiver<Option<u64>> {
        self.free.subscribe()
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(DISK_LOOK_EVERY) => self.look().await,
            }
        }
    }

    async fn look(&self) {
        let dir = self.dir.clone();
        // The disk may hang.
        let looked = tokio::task::spawn_blocking(move || free_bytes(&dir)).await;
        match looked {
            Ok(Ok(free)) => {
                self.free.send_replace(Some(free));
                self.judge(free);
            }
            Ok(Err(error)) => {
                self.free.send_replace(None);
                let reason = format!(
                    "how much is free at {} cannot be found out: {error}; no mark holds",
                    self.dir.display()
                );
                self.set(Room::Accepts, Some(reason));
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn judge(&self, free: u64) {
        let room = self.marks.judge(free, *self.room.borrow());
        let free = bytesize::ByteSize(free);
        let dir = self.dir.display();
        let reason = match room {
            Room::Accepts => None,
            Room::Deliveries => Some(format!(
                "{free} free at {dir}, less than store.accept-free: no message is accepted; make room"
            )),
            Room::Nothing => Some(format!(
                "{free} free at {dir}, less than store.dispatch-free: no message is accepted and none is sent; make room"
            )),
        };
        self.set(room, reason);
    }

    fn set(&self, room: Room, reason: Option<String>) {
        let is_new = self
            .room
            .send_if_modified(|last| std::mem::replace(last, room) != room);
        match reason {
            Some(reason) => {
                if is_new {
                    tracing::error!(reason, "the disk is nearly full");
                }
                self.degraded.set(HEALTH_NAME, reason);
            }
            None => {
                if self.degraded.clear(HEALTH_NAME) {
                    tracing::info!("the disk has room again");
                }
            }
        }
    }
}

/// What may still be written to the file system that a folder is on.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        accept: 1000,
        dispatch: 100,
    };

    #[track_caller]
    fn check(before: Room, free: u64, expected: Room) {
        assert_eq!(
            MARKS.judge(free, before),
            expected,
            "{free} after {before:?}"
        );
    }

    #[test]
    fn a_mark_is_passed_downwards_at_once_and_upwards_with_a_tenth_more() {
        check(Room::Accepts, 1000, Room::Accepts);
        check(Room::Accepts, 999, Room::Deliveries);
        check(Room::Deliveries, 1000, Room::Deliveries);
        check(Room::Deliveries, 1099, Room::Deliveries);
        check(Room::Deliveries, 1100, Room::Accepts);
        check(Room::Deliveries, 99, Room::Nothing);
        check(Room::Accepts, 99, Room::Nothing);
        check(Room::Nothing, 109, Room::Nothing);
        check(Room::Nothing, 110, Room::Deliveries);
        check(Room::Nothing, 5000, Room::Accepts);
    }

    #[test]
    fn no_marks_let_everything_through() {
        let none = Marks {
            accept: 0,
            dispatch: 0,
        };
        assert_eq!(none.judge(0, Room::Accepts), Room::Accepts);
    }

    #[test]
    fn a_file_system_says_what_is_free() {
        let dir = std::env::temp_dir();
        assert!(free_bytes(&dir).unwrap() > 0);
        assert!(free_bytes(&dir.join("absent")).is_err());
    }
}
