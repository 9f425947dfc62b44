//! `[store]`.

use super::super::file::Store;
use super::Resolver;
use crate::disk::Marks;

impl Resolver<'_> {
    pub(super) fn marks(&mut self, store: &Store) -> Marks {
        let Store {
            accept_free,
            dispatch_free,
            ..
        } = store;
        if dispatch_free > accept_free {
            self.problem(format!(
                "store.dispatch-free: {dispatch_free} is more than store.accept-free, {accept_free}: what is accepted \
                 could not be sent"
            ));
        }
        Marks {
            accept: accept_free.as_u64(),
            dispatch: dispatch_free.as_u64(),
        }
    }
}
