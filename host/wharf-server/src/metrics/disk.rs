//! The store's disk.

use std::fmt;

use prometheus_client::registry::Unit;
use tokio::sync::watch;

use super::{Numbers, Page};

pub(crate) struct DiskNumbers(pub(crate) watch::Receiver<Option<u64>>);

impl Numbers for DiskNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let free = *self.0.borrow();
        page.gauge(
            "disk_free",
            "What is free on the store's disk.",
            Some(&Unit::Bytes),
            free.map(|free| (vec![], free as f64)),
        )
    }
}
