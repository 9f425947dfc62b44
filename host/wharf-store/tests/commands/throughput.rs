//! A probe, not a benchmark: is the store where the measured layout was? The ratio to the control is what counts,
//! on a machine whose disk and cores are shared.
//!
//! `cargo test -p wharf-store --test commands -- --ignored --nocapture throughput`

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Instant;

use wharf_core::Status;

use crate::fixture::{Fixture, T0, end, message, settle, to, wait};

const BATCH: usize = 256;
const PRODUCERS: usize = 4;
const ROUNDS: usize = 100;
/// A message of 1 KiB, encoded.
const MESSAGE_BYTES: usize = 1104;

/// The control: batches of plain bytes into a file that is written already, each synced.
fn control(folder: &std::path::Path) -> f64 {
    let mut file = File::create(folder.join("ring")).unwrap();
    let batch = vec![7; BATCH * MESSAGE_BYTES];
    let rounds = ROUNDS * PRODUCERS;
    let mut write = || {
        file.seek(SeekFrom::Start(0)).unwrap();
        for _ in 0..rounds {
            file.write_all(&batch).unwrap();
            file.sync_data().unwrap();
        }
    };
    write();
    let started_at = Instant::now();
    write();
    (rounds * BATCH) as f64 / started_at.elapsed().as_secs_f64()
}

/// Accept, claim and settle of batches, by a few producers that each wait for their answers.
#[test]
#[ignore = "a measurement"]
fn throughput_of_a_life_at_batch_256() {
    let fixture = Fixture::new();
    let payload = "x".repeat(1024);
    let started_at = Instant::now();
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (fixture, store, payload) = (&fixture, &fixture.store, &payload);
            scope.spawn(move || {
                let name = format!("c{producer}");
                for round in 0..ROUNDS {
                    let batch = (0..BATCH).map(|n| {
                        to(
                            message(&format!("m-{producer}-{round}-{n}"), payload),
                            &[&name],
                        )
                    });
                    wait(store.accept(batch.collect())).unwrap();
                    let claims = fixture.claim(&name, BATCH, T0);
                    let batch = claims
                        .into_iter()
                        .map(|one| settle(one, end(Status::Delivered)));
                    wait(store.settle(batch.collect())).unwrap();
                }
            });
        }
    });
    let took = started_at.elapsed().as_secs_f64();
    let stats = fixture.store.stats();
    let count = stats.counts.status(Status::Delivered);
    let commits = stats.commit_us.count();
    let control = control(fixture.folder.path());
    let rate = count as f64 / took;
    println!(
        "{rate:.0} messages/s, {:.2} of the control's {control:.0}; {commits} commits of {:.2} ms; groups of {:.0}",
        rate / control,
        stats.commit_us.sum as f64 / commits as f64 / 1000.0,
        stats.group_items.sum as f64 / commits as f64,
    );
    let bytes = std::fs::metadata(fixture.path()).unwrap().len();
    println!("{} bytes of file a message", bytes / count);
}
