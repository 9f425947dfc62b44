//! A disk whose power can be cut at any call.
//!
//! What was synced survives. Of what was not, a cut keeps none, all, a beginning, a subset of the writes, or a
//! subset of the 512-byte sectors of each write (a torn write). Changes of length count as writes.
//!
//! Not modelled: bit rot, a full disk, a sync that fails and is tried again.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use wharf_store::Backend;

use crate::random::Random;

/// What a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct PowerCut(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    /// What a cut leaves of the past.
    durable: Vec<u8>,
    /// What reads see.
    current: Vec<u8>,
    /// What lies between the two, in order.
    unsynced: Vec<Change>,
    /// Calls that change something until the power goes.
    calls_left: Option<u64>,
    /// Counts the plugs: handles from before the last cut are dead.
    plug: u64,
    is_cut: bool,
    lies: bool,
    random: Random,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

/// What a cut leaves of changes that were not synced.
#[derive(Clone, Copy)]
enum Survivors {
    None,
    All,
    Beginning,
    Writes,
    Sectors,
}

impl PowerCut {
    /// A disk that holds `image`. The seed decides what its cuts leave.
    #[must_use]
    pub fn new(image: Vec<u8>, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            durable: image.clone(),
            current: image,
            unsynced: Vec::new(),
            calls_left: None,
            plug: 0,
            is_cut: false,
            lies: false,
            random: Random::new(seed),
        })))
    }

    /// A bug put in on purpose: from now on syncs do nothing.
    pub fn lie(&self) {
        self.disk().lies = true;
    }

    /// Cuts the power at the n-th call from now that changes or syncs something, counted from 1.
    pub fn arm(&self, calls: u64) {
        self.disk().calls_left = Some(calls);
    }

    /// Leaves the power on.
    pub fn disarm(&self) {
        self.disk().calls_left = None;
    }

    /// Whether the power is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.disk().is_cut
    }

    /// Puts the power back on. The disk holds what survived.
    pub fn reboot(&self) {
        let mut disk = self.disk();
        disk.is_cut = false;
        disk.calls_left = None;
        disk.plug += 1;
        disk.current = disk.durable.clone();
        disk.unsynced.clear();
    }

    /// What is on the disk, for a reader that sees what was not synced too.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.disk().current.clone()
    }

    /// A handle for a store. It dies with the next [`PowerCut::reboot`].
    #[must_use]
    pub fn plug(&self) -> Box<dyn Backend> {
        Box::new(Plug {
            disk: self.clone(),
            number: self.disk().plug,
        })
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("nothing panics with the disk locked")
    }
}

#[derive(Debug)]
struct Plug {
    disk: PowerCut,
    number: u64,
}

impl Plug {
    fn powered(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.disk();
        if disk.is_cut || disk.plug != self.number {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(disk)
    }
}

impl Backend for Plug {
    fn len(&self) -> io::Result<u64> {
        Ok(self.powered()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.powered()?;
        let offset = offset as usize;
        let bytes = disk.current.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.powered()?;
        disk.change(Change::Write {
            offset: offset as usize,
            data: data.to_vec(),
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.powered()?.change(Change::SetLen(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.powered()?;
        disk.count_call()?;
        if !disk.lies {
            let Disk {
                durable, unsynced, ..
            } = &mut *disk;
            unsynced.drain(..).for_each(|change| change.apply(durable));
        }
        Ok(())
    }
}

impl Disk {
    fn change(&mut self, change: Change) -> io::Result<()> {
        change.apply(&mut self.current);
        // The call that the power goes at may have got as far as the disk.
        self.unsynced.push(change);
        self.count_call()
    }

    fn count_call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            None => Ok(()),
            Some(left) if *left > 1 => {
                *left -= 1;
                Ok(())
            }
            Some(_) => {
                self.cut();
                Err(io::Error::other("the power is cut"))
            }
        }
    }

    fn cut(&mut self) {
        self.is_cut = true;
        let survivors = *self.random.pick(&[
            Survivors::None,
            Survivors::All,
            Survivors::Beginning,
            Survivors::Writes,
            Survivors::Sectors,
        ]);
        let beginning = self.random.below(self.unsynced.len() as u64 + 1) as usize;
        for (index, change) in self.unsynced.drain(..).enumerate() {
            let survives = match survivors {
                Survivors::None => false,
                Survivors::All | Survivors::Sectors => true,
                Survivors::Beginning => index < beginning,
                Survivors::Writes => self.random.once_in(2),
            };
            match (survives, survivors) {
                (false, _) => {}
                (true, Survivors::Sectors) => change.tear(&mut self.durable, &mut self.random),
                (true, _) => change.apply(&mut self.durable),
            }
        }
    }
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => image.resize(*len, 0),
            Self::Write { offset, data } => put(image, *offset, data),
        }
    }

    /// Applies some of its sectors; a change of length, perhaps.
    fn tear(&self, image: &mut Vec<u8>, random: &mut Random) {
        match self {
            Self::SetLen(_) => {
                if random.once_in(2) {
                    self.apply(image);
                }
            }
            Self::Write { offset, data } => {
                let mut at = 0;
                while at < data.len() {
                    let end = (SECTOR_BYTES - (offset + at) % SECTOR_BYTES + at).min(data.len());
                    if random.once_in(2) {
                        put(image, offset + at, &data[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}

/// A write past the end makes the file longer, as in a file system.
fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if image.len() < offset + data.len() {
        image.resize(offset + data.len(), 0);
    }
    image[offset..offset + data.len()].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let mut kept = 0;
        for seed in 0..100 {
            let disk = PowerCut::new(vec![0; 2048], seed);
            let plug = disk.plug();
            plug.write(0, &[1; 1024]).unwrap();
            plug.sync_data().unwrap();
            disk.arm(2);
            plug.write(512, &[2; 1024]).unwrap();
            assert!(plug.sync_data().is_err());
            assert!(disk.is_cut() && plug.len().is_err());
            disk.reboot();
            assert!(
                plug.len().is_err(),
                "a handle from before the cut stays dead"
            );
            let image = disk.image();
            assert_eq!(image[..512], [1; 512]);
            assert!(
                image[512..1536]
                    .chunks(512)
                    .all(|s| [[0; 512], [1; 512], [2; 512]].contains(s.try_into().unwrap()))
            );
            kept += usize::from(image[512] == 2);
        }
        assert!((20..80).contains(&kept), "{kept}");
    }
}
