//! How many instructions a batch of accept, claim and settle takes: `cargo xtask bench instructions`.
//!
//! They are the same in every run, however busy the machine is, so that a change of a percent shows. What they leave out
//! is everything that is no computing: writes, syncs, threads and their waking. The store is in memory, and its writer is
//! stepped by the caller's own thread.
//!
//! Each bench begins with a store in which work was done before: [`HISTORY_COUNT`] messages were delivered, so that there
//! are chunks, rows and ids to be found.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gungraun::prelude::*;
use redb::backends::InMemoryBackend;
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Message, TimeMs};
use wharf_store::{Accept, Accepted, Backends, Claim, Claims, Engine, Options, Settle, Settled, Store};

use crate::work::{CHANNEL, Clock, ROUTE, Sent, Work};

#[path = "../../src/work.rs"]
#[allow(dead_code, reason = "the other benches use the rest")]
mod work;

/// When everything happens. A clock that goes would not be the same in every run.
const NOW: TimeMs = TimeMs(1_800_000_000_000);

/// Messages that a bench's store has delivered before.
const HISTORY_COUNT: usize = 4096;

/// Messages that a batch of the history has.
const HISTORY_BATCH: usize = 256;

/// A store and its writer, which nothing but the bench steps.
struct Bench {
    store: Store,
    engine: Engine,
    work: Work,
    sent: Sent,
    channel: ChannelName,
}

impl Bench {
    /// A store that keeps messages in memory until they are claimed, up to so many bytes.
    fn new(resident_bytes_max: usize) -> Self {
        let options = Options {
            resident_bytes_max,
            ..Options::new([7; 32], NOW)
        };
        let backends = Backends {
            tables: Box::new(InMemoryBackend::new()),
            log: Box::new(InMemoryBackend::new()),
        };
        let (store, engine) = Store::open_stepped(backends, &options)
            .expect("a store in memory opens");
        let mut bench = Self {
            store,
            engine,
            work: Work::new(1, Clock::start()),
            sent: Sent::new(),
            channel: ChannelName::new(CHANNEL),
        };
        for _ in 0..HISTORY_COUNT / HISTORY_BATCH {
            let accepts = bench.accepts(HISTORY_BATCH);
            bench.accept(accepts);
            let settles = bench.settles(HISTORY_BATCH);
            bench.settle(settles);
        }
        bench
    }

    fn accepts(&mut self, count: usize) -> Vec<Accept> {
        let planned = Planned {
            route: ROUTE.into(),
            channel: self.channel.clone(),
        };
        let accept = |message| Accept {
            message: Message {
                accepted_at: NOW,
                ..message
            },
            planned: vec![planned.clone()],
        };
        self.work.batch(count).into_iter().map(accept).collect()
    }

    fn accept(&mut self, batch: Vec<Accept>) {
        let accepted = stepped(&mut self.engine, self.store.accept(batch)).expect("it commits");
        let is_new = |one: &Accepted| matches!(one, Accepted::New { .. });
        assert!(accepted.iter().all(is_new));
    }

    fn claim(&self, count: usize) -> Vec<Claim> {
        let claims = self.store.claim(&self.channel, count, NOW);
        match claims.expect("the store can be read") {
            Claims::Ready(claims) if claims.len() == count => claims,
            other => panic!("{count} deliveries are to be claimed, not {other:?}"),
        }
    }

    fn settles(&self, count: usize) -> Vec<Settle> {
        let settle = |claim: Claim| Settle {
            transition: self.sent.transition(),
            attempt: Some(self.sent.attempt(NOW)),
            wire: None,
            at: NOW,
            lease: claim.lease,
        };
        self.claim(count).into_iter().map(settle).collect()
    }

    fn settle(&mut self, batch: Vec<Settle>) {
        let settled = stepped(&mut self.engine, self.store.settle(batch)).expect("it commits");
        let is_recorded = |one: &Settled| matches!(one, Settled::Recorded(_));
        assert!(settled.iter().all(is_recorded));
    }
}

/// Asks the writer, steps it, and takes the answer.
fn stepped<T>(engine: &mut Engine, asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    let mut context = Context::from_waker(Waker::noop());
    assert!(asked.as_mut().poll(&mut context).is_pending());
    assert!(engine.step(), "nothing was asked");
    match asked.poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the writer did not answer"),
    }
}

/// What the host's dispatcher has by default.
const RESIDENT: usize = wharf_store::RESIDENT_BYTES_DEFAULT;

fn to_accept(count: usize) -> (Bench, Vec<Accept>) {
    let mut bench = Bench::new(RESIDENT);
    let accepts = bench.accepts(count);
    (bench, accepts)
}

fn to_claim(count: usize, resident_bytes_max: usize) -> (Bench, usize) {
    let mut bench = Bench::new(resident_bytes_max);
    let accepts = bench.accepts(count);
    bench.accept(accepts);
    (bench, count)
}

fn to_settle(count: usize) -> (Bench, Vec<Settle>) {
    let (bench, count) = to_claim(count, RESIDENT);
    let settles = bench.settles(count);
    (bench, settles)
}

#[library_benchmark]
#[bench::batch_1(to_accept(1))]
#[bench::batch_64(to_accept(64))]
#[bench::batch_256(to_accept(256))]
fn accept((mut bench, batch): (Bench, Vec<Accept>)) -> Bench {
    bench.accept(black_box(batch));
    bench
}

#[library_benchmark]
#[bench::batch_1(to_claim(1, RESIDENT))]
#[bench::batch_64(to_claim(64, RESIDENT))]
#[bench::batch_256(to_claim(256, RESIDENT))]
#[bench::batch_256_from_file(to_claim(256, 0))]
fn claim((bench, count): (Bench, usize)) -> (Bench, Vec<Claim>) {
    let claims = bench.claim(black_box(count));
    (bench, claims)
}

#[library_benchmark]
#[bench::batch_1(to_settle(1))]
#[bench::batch_64(to_settle(64))]
#[bench::batch_256(to_settle(256))]
fn settle((mut bench, batch): (Bench, Vec<Settle>)) -> Bench {
    bench.settle(black_box(batch));
    bench
}

library_benchmark_group!(name = store, benchmarks = [accept, claim, settle]);

main!(library_benchmark_groups = store);
