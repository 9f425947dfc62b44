//! Removing in a commit with others: which requests share one is this engine's to say.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wharf_core::Status;
use wharf_store::{Accepted, Claims, Options, Store};

use super::ids::Disks;
use crate::fixture::{T0, accept, channel, end, ended_by, id, settle};
use crate::stepped::alone;

/// Goal: in one commit with others that are about the same messages, before or after them, each has its way.
#[test]
fn it_joins_what_is_committed_with_it() {
    for is_first in [false, true] {
        let options = Options::new([1; 32], T0);
        let (store, mut engine) = Store::open_stepped(Disks::new().plug(), &options).unwrap();
        let names = ["m1", "m2", "m3"];
        let batch = names.iter().map(|name| accept(name, &["a"])).collect();
        alone(&mut engine, store.accept(batch)).unwrap();
        let Claims::Ready(mut claims) = store.claim(&channel("a"), 3, T0).unwrap() else {
            panic!("there was no stop");
        };
        let last = claims.pop().unwrap();
        let ended = claims
            .into_iter()
            .map(|claim| settle(claim, end(Status::Rejected)));
        alone(&mut engine, store.settle(ended.collect())).unwrap();

        let mut prune = pin!(store.prune(ended_by(0)));
        let mut settle = pin!(store.settle(vec![settle(last, end(Status::Delivered))]));
        let mut again = pin!(store.accept(vec![accept("m1", &["a"]), accept("m4", &["a"])]));
        let mut context = Context::from_waker(Waker::noop());
        if is_first {
            assert!(prune.as_mut().poll(&mut context).is_pending());
        }
        assert!(settle.as_mut().poll(&mut context).is_pending());
        assert!(again.as_mut().poll(&mut context).is_pending());
        if !is_first {
            assert!(prune.as_mut().poll(&mut context).is_pending());
        }
        let commits_count = store.stats().commit_us.count();
        assert!(engine.step());
        assert_eq!(store.stats().commit_us.count(), commits_count + 1);
        let Poll::Ready(Ok(pruned)) = prune.as_mut().poll(&mut context) else {
            panic!("it is not answered");
        };
        assert_eq!((pruned.messages, pruned.deliveries), (2, 2));
        let Poll::Ready(Ok(again)) = again.as_mut().poll(&mut context) else {
            panic!("it is not answered");
        };
        assert!(matches!(
            again[..],
            [Accepted::Duplicate { .. }, Accepted::New { .. }]
        ));
        alone(&mut engine, store.check()).unwrap();
        let is_there = |name: &str| store.get(&id(name)).unwrap().is_some();
        let there: Vec<_> = ["m1", "m2", "m3", "m4"].map(is_there).to_vec();
        assert_eq!(there, [false, false, true, true]);
        alone(&mut engine, store.prune(ended_by(0))).unwrap();
        alone(&mut engine, store.check()).unwrap();
        assert!(!is_there("m3"));
    }
}
