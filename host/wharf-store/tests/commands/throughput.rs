//! A probe, not a benchmark: is the store where the measured layout was?
//!
//! `cargo test --release -p wharf-store --test commands -- --ignored --nocapture throughput`

use std::time::Instant;

use wharf_core::Status;

use crate::fixture::{Fixture, T0, accept, channel, end, message, settle, to, wait};

const BATCH: usize = 256;
const PRODUCERS: usize = 2;
const ROUNDS: usize = 200;

/// Accept, claim and settle of batches, by a few producers that each wait for their answers.
#[test]
#[ignore = "a measurement"]
fn throughput_of_a_life_at_batch_256() {
    let fixture = Fixture::new();
    let payload = "x".repeat(1024);
    fixture.accept(vec![accept("warm", &["c0"])]);
    let started_at = Instant::now();
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (store, payload) = (&fixture.store, &payload);
            scope.spawn(move || {
                let name = format!("c{producer}");
                for round in 0..ROUNDS {
                    let batch = (0..BATCH).map(|n| {
                        to(message(&format!("m-{producer}-{round}-{n}"), payload), &[&name])
                    });
                    wait(store.accept(batch.collect())).unwrap();
                    let claims = store.claim(&channel(&name), BATCH, T0).unwrap();
                    let batch = claims.into_iter().map(|one| settle(one, end(Status::Delivered)));
                    wait(store.settle(batch.collect())).unwrap();
                }
            });
        }
    });
    let took = started_at.elapsed().as_secs_f64();
    let stats = fixture.store.stats();
    let count = stats.counts.status(Status::Delivered);
    let commits = stats.commit_us.count();
    println!(
        "{:.0} messages/s; {commits} commits of {:.2} ms; groups of {:.0}",
        count as f64 / took,
        stats.commit_us.sum as f64 / commits as f64 / 1000.0,
        stats.group_items.sum as f64 / commits as f64,
    );
    let bytes = std::fs::metadata(fixture.path()).unwrap().len();
    println!("{} bytes of file a message", bytes / count);
}
