//! The senders: one message a POST, or many as NDJSON. Now and then they send again what they had sent before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use wharf_api::{BatchLine, Client, ClientError, ProblemCode};
use wharf_testkit::random::Random;

use super::ledger::{Entry, Ledger, Page};
use super::message::Message;
use super::receivers::pick;

/// Senders of single messages, a connection each.
pub(super) const SINGLE_SENDERS_COUNT: usize = 3;

/// Lines of a batch, at most.
const BATCH_LINES_MAX: u64 = 40;

/// Pauses between requests, at most, but for the end of a life. With them a life's messages are hundreds, and what waits at the end of each is less
/// than what the slow receiver takes meanwhile.
const SINGLE_PAUSE_MS_MAX: u64 = 10;
const BATCH_PAUSE_MS_MAX: u64 = 75;

/// What both kinds need.
pub(super) struct Sender<'a> {
    pub(super) client: Client,
    /// As of the start of this life.
    pub(super) ledger: &'a Ledger,
    pub(super) random: Random,
    /// Its place among the senders, the same in every life.
    pub(super) number: usize,
    /// What its ids begin with.
    pub(super) prefix: String,
    pub(super) stop: &'a Stop,
}

/// How far the host is from being stopped.
#[derive(Default)]
pub(super) struct Stop {
    is_near: AtomicBool,
    is_set: AtomicBool,
}

impl Stop {
    /// Senders leave out their pauses from now on, so that the host is stopped in the middle of something.
    pub(super) fn rush(&self) {
        self.is_near.store(true, Ordering::Release);
    }

    /// The host is stopped now: that there is no answer is no surprise any more.
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Load comes when it comes; nothing is waited for here.
    pub(super) fn pause(&self, random: &mut Random, ms_max: u64) {
        let pause = Duration::from_millis(random.below(ms_max));
        if !self.is_near.load(Ordering::Acquire) {
            std::thread::sleep(pause);
        }
    }
}

impl<'a> Sender<'a> {
    pub(super) fn send_singles(mut self) -> Result<Page> {
        let mut page = Page::default();
        for number in 0.. {
            if self.stop.is_set() {
                break;
            }
            match self.random.below(40) {
                0..4 => self.resend(&mut page)?,
                4 => self.contradict(&mut page)?,
                _ => {
                    let message = self.message(number);
                    let answer = self.client.send(message.form().as_bytes(), None);
                    let duplicate = self.heard(answer)?.map(|answer| answer.duplicate);
                    self.note(message, duplicate, None, &mut page)?;
                }
            }
            self.stop.pause(&mut self.random, SINGLE_PAUSE_MS_MAX);
        }
        Ok(page)
    }

    pub(super) fn send_batches(mut self) -> Result<Page> {
        let mut page = Page::default();
        for batch in 0.. {
            if self.stop.is_set() {
                break;
            }
            let lines = 1 + self.random.below(BATCH_LINES_MAX);
            let messages: Vec<_> = (0..lines)
                .map(|line| self.message(batch * BATCH_LINES_MAX + line))
                .collect();
            let known = self.known(|entry| entry.is_accepted);
            let all = messages.iter().chain(known.map(|entry| &entry.message));
            let body: String = all.map(|one| one.form() + "\n").collect();
            let answer = self.client.send_batch(body.as_bytes(), 1, None);
            let answer = self.heard(answer)?.map(duplicates).transpose()?;
            if let Some(answer) = &answer {
                let lines_count = messages.len() + usize::from(known.is_some());
                ensure!(answer.len() == lines_count, "a line has no answer");
            }
            if let Some((entry, answer)) = known.zip(answer.as_ref()) {
                page.note_resent(entry, answer[messages.len()]);
            }
            for (at, message) in messages.into_iter().enumerate() {
                let duplicate = answer.as_ref().map(|answer| answer[at]);
                self.note(message, duplicate, Some(batch), &mut page)?;
            }
            self.stop.pause(&mut self.random, BATCH_PAUSE_MS_MAX);
        }
        Ok(page)
    }

    fn message(&mut self, number: u64) -> Message {
        let to = pick(&mut self.random);
        Message::new(format!("{}-{number}", self.prefix), to, &mut self.random)
    }

    /// Notes a new message, and what was said of it, if there was an answer.
    fn note(
        &self,
        message: Message,
        duplicate: Option<bool>,
        batch: Option<u64>,
        page: &mut Page,
    ) -> Result<()> {
        ensure!(duplicate != Some(true), "{} is no duplicate", message.id);
        page.entries.push(Entry {
            message,
            is_accepted: duplicate.is_some(),
            sender: self.number,
            batch: batch.map(|batch| format!("{}-{batch}", self.prefix)),
        });
        Ok(())
    }

    fn known(&mut self, is_wanted: impl Fn(&Entry) -> bool) -> Option<&'a Entry> {
        let ledger = self.ledger;
        ledger.pick(&mut self.random, usize::MAX, is_wanted)
    }

    /// Sends again what was sent in an earlier life: what anyone was answered, or what this sender was not.
    fn resend(&mut self, page: &mut Page) -> Result<()> {
        let number = self.number;
        let is_single = |entry: &Entry| entry.batch.is_none() && entry.sender == number;
        let Some(entry) = self.known(|entry| entry.is_accepted || is_single(entry)) else {
            return Ok(());
        };
        let answer = self.client.send(entry.message.form().as_bytes(), None);
        if let Some(answer) = self.heard(answer)? {
            page.note_resent(entry, answer.duplicate);
        }
        Ok(())
    }

    /// Sends other content under an id that was accepted.
    fn contradict(&mut self, page: &mut Page) -> Result<()> {
        let Some(entry) = self.known(|entry| entry.is_accepted) else {
            return Ok(());
        };
        let other = entry.message.contradict();
        match self.client.send(other.form().as_bytes(), None) {
            Err(ClientError::Problem(problem))
                if problem.code == ProblemCode::IdConflict.as_str() =>
            {
                page.conflicts_count += 1;
                Ok(())
            }
            answer => match self.heard(answer)? {
                None => Ok(()),
                Some(_) => bail!("{} was accepted with other content", other.id),
            },
        }
    }

    /// What was answered; none where the host was stopped before it had, or refused because it stops.
    fn heard<T>(&self, answer: Result<T, ClientError>) -> Result<Option<T>> {
        heard(answer, self.stop)
    }
}

/// Of each line, whether its message was known already.
fn duplicates(lines: Vec<BatchLine>) -> Result<Vec<bool>> {
    let duplicate = |line: BatchLine| match line.accepted {
        Some(accepted) => Ok(accepted.duplicate),
        None => bail!("a line of a batch was answered with {line:?}"),
    };
    lines.into_iter().map(duplicate).collect()
}

/// See [`Sender::heard`].
pub(super) fn heard<T>(answer: Result<T, ClientError>, stop: &Stop) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::NoAnswer { .. }) if stop.is_set() => Ok(None),
        Err(ClientError::Problem(problem)) if problem.status == 503 && stop.is_set() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
