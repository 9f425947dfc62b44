//! Deliveries that kill the process each time they are attempted, among others that do not: every life ends with the
//! ones dead, and the others delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wharf_core::delivery::Transition;
use wharf_core::message::Priority;
use wharf_core::route::Planned;
use wharf_core::{Cause, ChannelName, DeliveryId, Message, MessageId, Status};
use wharf_store::{Accept, Claim, Claims, Engine, Filter, Of, Options, Settle, Store};
use wharf_testkit::backend::PowerCut;
use wharf_testkit::random::Random;

use crate::world::{T0, empty_image, options};

/// Turns that a life takes at most: far more than any needs that comes to its end.
const TURNS_MAX: u64 = 20_000;

/// What became of one life.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ended {
    pub(crate) killers: BTreeSet<DeliveryId>,
    pub(crate) all_count: usize,
    pub(crate) delivered_count: usize,
    pub(crate) kills_count: usize,
    /// What was dead at the end, each with how many starts found it claimed.
    pub(crate) dead: BTreeMap<DeliveryId, usize>,
}

struct Life {
    random: Random,
    disk: PowerCut,
    options: Options,
    store: Store,
    engine: Engine,
    channels: Vec<ChannelName>,
    killers: BTreeSet<DeliveryId>,
    /// What is being attempted, and whether that claim went on disk.
    out: BTreeMap<DeliveryId, (Claim, bool)>,
    ended: Ended,
}

/// Lives until nothing is left to be sent.
pub(crate) fn live(seed: u64) -> Result<Ended, String> {
    let mut random = Random::new(seed);
    let disk = PowerCut::new(empty_image()?, random.number());
    let options = options();
    let (store, engine) = open(&disk, &options)?;
    let mut life = Life {
        random,
        disk,
        options,
        store,
        engine,
        channels: ["a", "b", "c"].map(ChannelName::new).to_vec(),
        killers: BTreeSet::new(),
        out: BTreeMap::new(),
        ended: Ended::default(),
    };
    for n in 0..=life.random.below(30) {
        life.accept(n)?;
    }
    let all = life.list(&[Status::Queued])?;
    life.ended.all_count = all.len();
    for _ in 0..=life.random.below(3) {
        life.killers.insert(*life.random.pick(&all));
    }
    for _ in 0..TURNS_MAX {
        if life.list(&[Status::Queued, Status::Retrying])?.is_empty() {
            return life.end();
        }
        life.turn()?;
    }
    Err("a life does not end".to_owned())
}

fn open(disk: &PowerCut, options: &Options) -> Result<(Store, Engine), String> {
    Store::open_stepped(disk.plug(), options).map_err(|cause| format!("{cause:?}"))
}

/// Asks one thing, and has the writer do it.
fn ask<T, E: std::fmt::Debug>(
    engine: &mut Engine,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let mut asked = pin!(asked);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match asked.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer.map_err(|cause| format!("{cause:?}")),
            Poll::Pending => assert!(engine.step(), "the writer has something to do"),
        }
    }
}

impl Life {
    fn accept(&mut self, n: u64) -> Result<(), String> {
        let count = 1 + self.random.below(3) as usize;
        let planned = self.channels[..count]
            .iter()
            .map(|channel| Planned::at_once("route".into(), channel.clone()));
        let accept = Accept {
            message: Message {
                id: MessageId::parse(&format!("m-{n}")).expect("it is in the alphabet"),
                accepted_at: T0,
                attributes: vec![],
                headers: vec![],
                payload: "payload".into(),
                ordering_key: None,
                sequence_global: None,
                sequence_key: None,
                deliver_after: None,
                expires_at: None,
                priority: Priority::Normal,
                traceparent: None,
            },
            planned: planned.collect(),
            unrouted: None,
        };
        ask(&mut self.engine, self.store.accept(vec![accept])).map(drop)
    }

    fn list(&self, statuses: &[Status]) -> Result<Vec<DeliveryId>, String> {
        let filter = Filter {
            statuses: statuses.to_vec(),
            ..Filter::default()
        };
        let page = self.store.list(&filter, None, usize::MAX);
        let page = page.map_err(|cause| format!("{cause:?}"))?;
        assert_eq!(page.next, None, "the store is small");
        let ids = page.entries.into_iter().filter_map(|entry| match entry.of {
            Of::Delivery(view) => Some(view.id),
            Of::Message(_) => None,
        });
        Ok(ids.collect())
    }

    /// A dispatcher claims, or an attempt ends, or is given up.
    fn turn(&mut self) -> Result<(), String> {
        self.options.now = self.options.now.after(Duration::from_secs(1));
        match self.random.below(3) {
            0 => self.claim(),
            1 => {
                let Some(id) = self.one_out() else {
                    return Ok(());
                };
                let (claim, _) = self.out.remove(&id).expect("it is out");
                let settle = self.outcome(claim);
                ask(&mut self.engine, self.store.settle(vec![settle])).map(drop)
            }
            _ => {
                if self.random.once_in(4)
                    && let Some(id) = self.one_out()
                {
                    self.out.remove(&id);
                }
                Ok(())
            }
        }
    }

    fn one_out(&mut self) -> Option<DeliveryId> {
        let ids: Vec<_> = self.out.keys().copied().collect();
        (!ids.is_empty()).then(|| *self.random.pick(&ids))
    }

    fn claim(&mut self) -> Result<(), String> {
        let channel = self.random.pick(&self.channels).clone();
        let max = 1 + self.random.below(4) as usize;
        let claims = self.store.claim(&channel, max, self.options.now);
        let (claims, is_on_disk) = match claims.map_err(|cause| format!("{cause:?}"))? {
            Claims::Ready(claims) => (claims, false),
            Claims::Careful(claims) => {
                let persisted = ask(&mut self.engine, self.store.persist_claims(claims))?;
                (persisted, true)
            }
        };
        for claim in claims {
            self.out.insert(claim.lease.delivery(), (claim, is_on_disk));
        }
        // Whoever was claimed is attempted, and some are attempted for the last time.
        if self.out.keys().any(|id| self.killers.contains(id)) {
            self.die()?;
        }
        Ok(())
    }

    /// Some go on failing for a while, and each is delivered in the end.
    fn outcome(&mut self, claim: Claim) -> Settle {
        let is_retry = self.random.once_in(3);
        Settle {
            lease: claim.lease,
            transition: Transition {
                to: if is_retry {
                    Status::Retrying
                } else {
                    Status::Delivered
                },
                cause: if is_retry { Cause::Failed } else { Cause::Sent },
                due: is_retry.then(|| self.options.now.after(Duration::from_secs(5))),
                token: None,
            },
            attempt: None,
            wire: None,
            at: self.options.now,
        }
    }

    fn die(&mut self) -> Result<(), String> {
        self.ended.kills_count += 1;
        let on_disk = self.out.iter().filter(|(_, (_, is_on_disk))| *is_on_disk);
        for (id, _) in on_disk {
            *self.ended.dead.entry(*id).or_default() += 1;
        }
        self.out.clear();
        self.disk.restart();
        (self.store, self.engine) = open(&self.disk, &self.options)?;
        ask(&mut self.engine, self.store.check()).map(drop)
    }

    fn end(mut self) -> Result<Ended, String> {
        let dead = self.list(&[Status::Dead])?;
        self.ended.dead.retain(|id, _| dead.contains(id));
        self.ended.delivered_count = self.list(&[Status::Delivered])?.len();
        self.ended.killers = self.killers;
        let crashed = self
            .store
            .journal(wharf_core::Cursor(0), usize::MAX, usize::MAX);
        let crashed = crashed.map_err(|cause| format!("{cause:?}"))?.entries;
        let crashed = crashed
            .iter()
            .filter(|entry| entry.row.cause == Cause::CrashedHost);
        if crashed.count() != dead.len() {
            return Err("something is dead for another reason".to_owned());
        }
        Ok(self.ended)
    }
}
