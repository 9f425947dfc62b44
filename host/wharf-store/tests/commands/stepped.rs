//! Stores whose writer is stepped here instead of running by itself.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wharf_store::Engine;

/// Asks one thing, and has the writer do it alone.
pub(crate) fn alone<F: Future>(engine: &mut Engine, asked: F) -> F::Output {
    let mut asked = pin!(asked);
    let mut context = Context::from_waker(Waker::noop());
    assert!(asked.as_mut().poll(&mut context).is_pending());
    assert!(engine.step());
    match asked.as_mut().poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the writer answers what it has done"),
    }
}
