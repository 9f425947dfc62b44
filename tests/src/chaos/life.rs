//! The run: cycles of start, load and stop over one file, then the reckoning.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use wharf_api::Client;
use wharf_testkit::process::{Host, HostBuilder};
use wharf_testkit::random::Random;
use wharf_testkit::sink::Sink;

use super::ledger::{Ledger, Page};
use super::load::{SINGLE_SENDERS_COUNT, Sender, Stop};
use super::operator::{operate, undone_pauses};
use super::receivers::{Receipts, behave, config, misbehave};
use super::report::Report;
use super::verify;

/// The store's file, in the host's folder.
pub(super) const STORE: &str = "wharf.redb";

/// It, and its log.
const FILES: [&str; 2] = [STORE, "wharf.redb-wal"];

/// What a copy of a file is called.
const BEFORE: &str = "before";

/// One life of so many is short, so that the same deliveries are out at several kills in a row.
const SHORT_LIFE_ONE_IN: u64 = 3;

/// How long a short life is at most.
const SHORT_LIFE_MS_MAX: u64 = 50;

/// How long senders leave out their pauses before a stop: until all of them are in the middle of something. Then it
/// is likely that a commit is too.
const RUSH: Duration = Duration::from_millis(20);

/// One stop of so many is clean.
const CLEAN_STOP_ONE_IN: u64 = 8;

/// Before one start of so many, one or two others are killed.
const KILLED_STARTS_ONE_IN: u64 = 3;

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where chance starts.
    pub seed: u64,
    /// Lives of the host.
    pub cycles: u64,
    /// How long a life under load is at most.
    pub life_ms_max: u64,
    /// What is broken on purpose, to prove that it is found.
    pub planted: Planted,
}

/// A loss on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// None.
    None,
    /// The last life's commits are undone: the file is put back that was there before it.
    OldFile,
    /// The receivers' record of one delivery in ten is thrown away.
    LostReceipts,
}

/// Runs all cycles on the binary that was built beside this one. The report says what was found; an error, what kept
/// the run from its end. In both cases the host's folder is left for whoever has to find out why.
pub fn run(plan: &Plan) -> Result<Report> {
    let mut world = World::new(plan)?;
    let result = world.run(plan);
    let is_fine = result.as_ref().is_ok_and(Report::is_fine);
    if !is_fine && plan.planted == Planted::None {
        world.host.keep_folder();
        let folder = world.host.folder().display();
        eprintln!("seed {}: the host's folder is left at {folder}", plan.seed);
    }
    result
}

struct World {
    host: Host,
    sink: Sink,
    ledger: Ledger,
    receipts: Receipts,
    random: Random,
    report: Report,
}

impl World {
    fn new(plan: &Plan) -> Result<Self> {
        let sink = Sink::builder()
            .keep(usize::MAX)
            .start()
            .context("cannot start the receiver")?;
        behave(&sink);
        let host = HostBuilder::new(config(&sink))
            .shipped("http")
            .shipped("audit")
            .env("WHARF_LOG", "warn,wharf_store=info")
            .build()?;
        Ok(Self {
            host,
            sink,
            ledger: Ledger::default(),
            receipts: Receipts::default(),
            random: Random::new(plan.seed),
            report: Report::default(),
        })
    }

    fn run(&mut self, plan: &Plan) -> Result<Report> {
        for cycle in 1..=plan.cycles {
            let is_undone = plan.planted == Planted::OldFile && cycle == plan.cycles;
            if is_undone {
                self.copy_store()?;
            }
            self.start()?;
            let life = self.live(plan)?;
            eprintln!("cycle {cycle}/{}: {life}", plan.cycles);
            if is_undone {
                self.put_back()?;
            }
        }
        self.start()?;
        if plan.planted == Planted::LostReceipts {
            self.receipts.forget_some(&mut self.random);
        }
        verify::reckon(
            &mut self.host,
            &self.sink,
            &self.ledger,
            &mut self.receipts,
            &mut self.report,
        )?;
        Ok(std::mem::take(&mut self.report))
    }

    /// Copies the store and its log as they are while no host runs.
    fn copy_store(&self) -> Result<()> {
        for name in FILES {
            // The first start of all finds none.
            let file = self.host.path(name);
            if file.exists() {
                std::fs::copy(&file, file.with_added_extension(BEFORE))?;
            }
        }
        Ok(())
    }

    fn put_back(&self) -> Result<()> {
        for name in FILES {
            let file = self.host.path(name);
            let before = file.with_added_extension(BEFORE);
            if before.exists() {
                std::fs::rename(before, file)?;
            }
        }
        Ok(())
    }

    /// Starts the host, perhaps after starts that are killed on their way.
    fn start(&mut self) -> Result<()> {
        if let Some(usual) = self.report.ready_ms.last().copied()
            && self.random.once_in(KILLED_STARTS_ONE_IN)
        {
            for _ in 0..=self.random.below(2) {
                // Up to twice as long as a start takes, so that some are killed when they have just begun to send.
                let after =
                    Duration::from_millis(usual).mul_f64(self.random.below(200) as f64 / 100.0);
                self.host.kill_while_starting(after)?;
                self.report.starts_killed += 1;
            }
        }
        let began = Instant::now();
        self.host.restart()?;
        let ready_ms = began.elapsed().as_millis() as u64;
        self.report.ready_ms.push(ready_ms);
        let undone = undone_pauses(&Client::new(&self.host.url(), None), &self.ledger)?;
        let wrong = self.receipts.take(&self.sink, &self.ledger);
        self.report
            .unexplained
            .extend(undone.into_iter().chain(wrong));
        Ok(())
    }

    /// A life under load, up to its end. Says how it was.
    fn live(&mut self, plan: &Plan) -> Result<String> {
        misbehave(&self.sink, &mut self.random);
        let life_ms_max = match self.random.once_in(SHORT_LIFE_ONE_IN) {
            true => SHORT_LIFE_MS_MAX,
            false => plan.life_ms_max,
        };
        let life_ms = self.random.below(life_ms_max);
        let is_clean = self.random.once_in(CLEAN_STOP_ONE_IN);
        let url = self.host.url();
        let cycle = self.report.cycles;
        let seed = self.random.number();
        let (host, ledger, stop) = (&mut self.host, &self.ledger, &Stop::default());
        let sender = |number: usize| Sender {
            client: Client::new(&url, None),
            ledger,
            random: Random::new(seed ^ number as u64),
            number,
            prefix: format!("c{cycle}s{number}"),
            stop,
        };
        let pages = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for number in 0..SINGLE_SENDERS_COUNT {
                let sender = sender(number);
                threads.push(scope.spawn(|| sender.send_singles()));
            }
            let batches = sender(SINGLE_SENDERS_COUNT);
            threads.push(scope.spawn(|| batches.send_batches()));
            threads.push(scope.spawn(|| {
                let client = Client::new(&url, None);
                operate(&client, ledger, &mut Random::new(!seed), stop)
            }));
            // The moment is chance's choice, not a state to wait for.
            std::thread::sleep(Duration::from_millis(life_ms));
            stop.rush();
            std::thread::sleep(RUSH);
            stop.set();
            let stopped = end(host, is_clean);
            let pages: Result<Vec<Page>> = threads
                .into_iter()
                .map(|thread| thread.join().expect("no sender panics"))
                .collect();
            stopped.and(pages)
        });
        let pages =
            pages.with_context(|| format!("cycle {}: the host failed its clients", cycle + 1))?;
        self.report.cycles += 1;
        self.report.clean_stops += u64::from(is_clean);
        let (mut accepted, mut unknown) = (0, 0);
        for mut page in pages {
            let answered = page
                .entries
                .iter()
                .filter(|entry| entry.is_accepted)
                .count();
            accepted += answered;
            unknown += page.entries.len() - answered;
            self.report.note(&mut page);
            self.ledger.add(&mut page);
        }
        let how = if is_clean { "SIGTERM" } else { "kill -9" };
        let ready_ms = self.report.ready_ms.last().copied().unwrap_or_default();
        Ok(format!(
            "ready in {ready_ms} ms, {how} after {life_ms} ms; {accepted} accepted, {unknown} without an answer"
        ))
    }
}

fn end(host: &mut Host, is_clean: bool) -> Result<()> {
    if !is_clean {
        return host.kill_9();
    }
    let status = host.terminate()?;
    ensure!(
        status.success(),
        "the host was asked to stop and ended with {status}"
    );
    Ok(())
}
