//! The disk, and what is done to it from outside.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use wharf_store::Backends;

use super::change::{Change, Files, Of, survive};
use super::fault::{Call, Fault};
use super::plug::Plug;
use crate::random::Random;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct PowerCut(Arc<Mutex<Disk>>);

#[derive(Debug)]
pub(super) struct Disk {
    /// What a cut leaves of the past.
    durable: Files,
    /// What reads see.
    pub(super) current: Files,
    /// What lies between the two, in order. After a failed sync it is not all: the rest counts as written.
    unsynced: Vec<(Of, Change)>,
    /// Calls that change something until the power goes.
    calls_left: Option<u64>,
    /// What is to go wrong, and how many calls of its kind until then.
    armed: Option<(Fault, u64)>,
    /// What has gone wrong since a store was plugged in.
    failed: Option<Fault>,
    is_full: bool,
    /// Counts the plugs: handles from before the last cut or restart are dead.
    pub(super) plug: u64,
    pub(super) is_cut: bool,
    lies_one_in: Option<u64>,
    random: Random,
}

impl PowerCut {
    /// A disk that holds `image`, a store that was closed. The seed decides what its cuts leave.
    #[must_use]
    pub fn new(image: Vec<u8>, seed: u64) -> Self {
        let files = [image, Vec::new()];
        Self(Arc::new(Mutex::new(Disk {
            durable: files.clone(),
            current: files,
            unsynced: Vec::new(),
            calls_left: None,
            armed: None,
            failed: None,
            is_full: false,
            plug: 0,
            is_cut: false,
            lies_one_in: None,
            random: Random::new(seed),
        })))
    }

    /// A bug put in on purpose: from now on one sync in so many does nothing.
    pub fn lie(&self, one_in: u64) {
        self.disk().lies_one_in = Some(one_in);
    }

    /// Cuts the power at the n-th call from now that changes or syncs something, counted from 1.
    pub fn arm(&self, calls: u64) {
        self.disk().calls_left = Some(calls);
    }

    /// Has something go wrong at the n-th call of its kind from now, counted from 1.
    pub fn arm_fault(&self, fault: Fault, calls: u64) {
        self.disk().armed = Some((fault, calls));
    }

    /// Leaves the power on, and has nothing go wrong.
    pub fn disarm(&self) {
        let mut disk = self.disk();
        (disk.calls_left, disk.armed) = (None, None);
    }

    /// Whether the power is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.disk().is_cut
    }

    /// What has gone wrong, the power aside, since a store could be plugged in.
    #[must_use]
    pub fn failed(&self) -> Option<Fault> {
        self.disk().failed
    }

    /// Whether no space is left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.disk().is_full
    }

    /// Somebody has removed something else.
    pub fn make_room(&self) {
        self.disk().is_full = false;
    }

    /// Cuts the power now, and puts it back on. The disk holds what survived.
    pub fn reboot(&self) {
        let mut disk = self.disk();
        if !disk.is_cut {
            disk.cut();
        }
        disk.is_cut = false;
        disk.current = disk.durable.clone();
        disk.plug_in();
    }

    /// The process ends and the power stays on: what it wrote and did not sync is still there, and can be synced or cut
    /// off later. The machine's memory of what counts as written is dropped, so that reads see the disk: a store in a
    /// file asks for that when something has failed. No engine could live with what else it would read.
    pub fn restart(&self) {
        let mut disk = self.disk();
        let mut current = disk.durable.clone();
        for (of, change) in &disk.unsynced {
            change.apply(&mut current[*of as usize]);
        }
        disk.current = current;
        disk.plug_in();
    }

    /// The store's own file, for a reader that sees what was not synced too.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.disk().current[Of::Tables as usize].clone()
    }

    /// Handles for a store. They die with the next [`PowerCut::reboot`] or [`PowerCut::restart`].
    #[must_use]
    pub fn plug(&self) -> Backends {
        let plug = |of| {
            Box::new(Plug {
                disk: self.clone(),
                of,
                number: self.disk().plug,
            })
        };
        Backends {
            tables: plug(Of::Tables),
            log: plug(Of::Log),
        }
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("nothing panics with the disk locked")
    }
}

impl Disk {
    fn plug_in(&mut self) {
        (self.calls_left, self.armed, self.failed) = (None, None, None);
        self.plug += 1;
    }

    pub(super) fn change(&mut self, call: Call, of: Of, change: Change) -> io::Result<()> {
        let outcome = self.may_fail(call);
        if let Err(cause) = outcome {
            // A write that fails may have got somewhere; one without space has not.
            if self.failed == Some(Fault::Write) && self.random.once_in(2) {
                change.apply(&mut self.current[of as usize]);
                self.unsynced.push((of, change));
            }
            return Err(cause);
        }
        change.apply(&mut self.current[of as usize]);
        // The call that the power goes at may have got as far as the disk.
        self.unsynced.push((of, change));
        self.count_call()
    }

    pub(super) fn sync(&mut self, of: Of) -> io::Result<()> {
        self.count_call()?;
        let outcome = self.may_fail(Call::Sync);
        if self
            .lies_one_in
            .is_some_and(|one_in| self.random.once_in(one_in))
        {
            return outcome;
        }
        let (unsynced, others) = mem::take(&mut self.unsynced)
            .into_iter()
            .partition(|(changed, _)| *changed == of);
        self.unsynced = others;
        let unsynced: Vec<(Of, Change)> = unsynced;
        if outcome.is_ok() {
            for (of, change) in &unsynced {
                change.apply(&mut self.durable[*of as usize]);
            }
        } else {
            survive(unsynced, &mut self.durable, &mut self.random);
        }
        outcome
    }

    /// Fails where something is to go wrong with this call.
    pub(super) fn may_fail(&mut self, call: Call) -> io::Result<()> {
        if let Some((fault, left)) = &mut self.armed
            && fault.is_of(call)
        {
            *left -= 1;
            if *left == 0 {
                let fault = *fault;
                self.armed = None;
                self.is_full |= fault == Fault::Full;
                return self.fail(fault);
            }
        }
        let finds_no_room = self.is_full
            && match call {
                Call::Grow => true,
                Call::Write => self.random.once_in(4),
                Call::Read | Call::Shrink | Call::Sync => false,
            };
        if finds_no_room {
            return self.fail(Fault::Full);
        }
        Ok(())
    }

    fn fail(&mut self, fault: Fault) -> io::Result<()> {
        self.failed = Some(fault);
        Err(fault.error())
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
        let unsynced = mem::take(&mut self.unsynced);
        survive(unsynced, &mut self.durable, &mut self.random);
    }
}
