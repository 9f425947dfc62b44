//! A disk that hangs: no error, no answer.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use redb::backends::InMemoryBackend;
use wharf_store::{Accepted, Backend, Backends, Options, Store};

use crate::fixture::{T0, accept, wait};

/// A disk whose syncs wait for a gate.
#[derive(Debug)]
struct Hanging {
    disk: InMemoryBackend,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_shut: bool,
    /// Syncs that wait.
    waiting_count: usize,
}

impl Gate {
    fn set_shut(&self, is_shut: bool) {
        self.state.lock().unwrap().is_shut = is_shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting_count += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |s| s.is_shut).unwrap();
        state.waiting_count -= 1;
    }

    fn wait_for_a_sync(&self) {
        let state = self.state.lock().unwrap();
        let has_none = |state: &mut State| state.waiting_count == 0;
        drop(self.changed.wait_while(state, has_none).unwrap());
    }
}

impl Backend for Hanging {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

#[test]
fn a_commit_whose_sync_hangs_is_seen_from_outside() {
    let gate = Arc::<Gate>::default();
    let hanging = || {
        Box::new(Hanging {
            disk: InMemoryBackend::new(),
            gate: gate.clone(),
        })
    };
    let backends = Backends {
        tables: hanging(),
        log: hanging(),
    };
    let store = Store::open_backends(backends, &Options::new([1; 32], T0)).unwrap();
    assert_eq!(store.commit_running_for(), None);
    gate.set_shut(true);
    let sender = {
        let store = store.clone();
        std::thread::spawn(move || wait(store.accept(vec![accept("m", &["a"])])))
    };
    gate.wait_for_a_sync();
    let before = store.commit_running_for().expect("a commit is being made");
    // It goes on for as long as the sync does.
    while store.commit_running_for().expect("it still is") <= before {}
    assert!(!sender.is_finished());
    gate.set_shut(false);
    let accepted = sender.join().unwrap().unwrap();
    assert!(matches!(accepted[..], [Accepted::New { .. }]));
    assert_eq!(store.commit_running_for(), None);
}
