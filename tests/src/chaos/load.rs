//! The senders: one message a POST, or many as NDJSON. Now and then they send again what they had sent before.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use wharf_api::{Client, ClientError, ProblemCode};
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
const SINGLE_PAUSE_MS_MAX: u64 = 20;
const BATCH_PAUSE_MS_MAX: u64 = 150;

/// What both kinds need.
pub(super) struct Sender<'a> {
    pub(super) client: Client,
    /// As of the start of this life.
    pub(super) ledger: &'a Ledger,
    pub(super) random: Random,
    /// What its ids begin with.
    pub(super) prefix: String,
    pub(super) stop: &'a Stop,
}

/// How far a life is.
#[derive(Default)]
pub(super) struct Stop(AtomicU8);

impl Stop {
    /// The host is stopped soon: senders leave out their pauses, so that it is stopped in the middle of something.
    pub(super) fn rush(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// The host is stopped now: from now on no answer is no surprise.
    pub(super) fn set(&self) {
        self.0.store(2, Ordering::Release);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) == 2
    }

    /// Load comes when it comes; nothing is waited for here.
    pub(super) fn pause(&self, random: &mut Random, ms_max: u64) {
        let pause = Duration::from_millis(random.below(ms_max));
        if self.0.load(Ordering::Acquire) == 0 {
            std::thread::sleep(pause);
        }
    }
}

impl Sender<'_> {
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
                    let answer = self.heard(answer)?;
                    if let Some(answer) = &answer {
                        ensure!(!answer.duplicate, "{} is no duplicate", message.id);
                    }
                    page.entries.push(Entry {
                        message,
                        is_accepted: answer.is_some(),
                        batch: None,
                    });
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
            let mut messages: Vec<_> = (0..lines)
                .map(|line| self.message(batch * BATCH_LINES_MAX + line))
                .collect();
            // Within a batch, one that is known already.
            let ledger = self.ledger;
            let known = ledger.pick(&mut self.random, usize::MAX, |entry| entry.is_accepted);
            messages.extend(known.map(|entry| entry.message.clone()));
            let body: String = messages.iter().map(|one| one.form() + "\n").collect();
            let answer = self.client.send_batch(body.as_bytes(), 1, None);
            let answer = self.heard(answer)?;
            for (at, message) in messages.into_iter().enumerate() {
                let is_new = at < lines as usize;
                let line = answer.as_ref().map(|lines| lines.get(at));
                let duplicate = match line {
                    None => None,
                    Some(line) => {
                        let accepted = line.and_then(|line| line.accepted.as_ref());
                        match accepted {
                            Some(accepted) => Some(accepted.duplicate),
                            None => bail!("a line of a batch was answered with {line:?}"),
                        }
                    }
                };
                match (is_new, duplicate) {
                    (true, Some(true)) => bail!("{} is no duplicate", message.id),
                    (true, _) => page.entries.push(Entry {
                        message,
                        is_accepted: duplicate.is_some(),
                        batch: Some(format!("{}-{batch}", self.prefix)),
                    }),
                    (false, Some(false)) => page.forgotten.push(message.id),
                    (false, Some(true)) => page.resent_count += 1,
                    (false, None) => {}
                }
            }
            self.stop.pause(&mut self.random, BATCH_PAUSE_MS_MAX);
        }
        Ok(page)
    }

    fn message(&mut self, number: u64) -> Message {
        let to = pick(&mut self.random);
        Message::new(format!("{}-{number}", self.prefix), to, &mut self.random)
    }

    /// Sends again what was sent in an earlier life, whether it was answered then or not.
    fn resend(&mut self, page: &mut Page) -> Result<()> {
        let ledger = self.ledger;
        let is_single = |entry: &Entry| entry.is_accepted || entry.batch.is_none();
        let Some(entry) = ledger.pick(&mut self.random, usize::MAX, is_single) else {
            return Ok(());
        };
        let answer = self.client.send(entry.message.form().as_bytes(), None);
        let Some(answer) = self.heard(answer)? else {
            return Ok(());
        };
        match (entry.is_accepted, answer.duplicate) {
            (true, true) => page.resent_count += 1,
            (true, false) => page.forgotten.push(entry.message.id.clone()),
            (false, was_there) => page.confirmed.push((entry.message.id.clone(), was_there)),
        }
        Ok(())
    }

    /// Sends other content under an id that was accepted.
    fn contradict(&mut self, page: &mut Page) -> Result<()> {
        let ledger = self.ledger;
        let Some(entry) = ledger.pick(&mut self.random, usize::MAX, |entry| entry.is_accepted)
        else {
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

/// See [`Sender::heard`].
pub(super) fn heard<T>(answer: Result<T, ClientError>, stop: &Stop) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::NoAnswer { .. }) if stop.is_set() => Ok(None),
        Err(ClientError::Problem(problem)) if problem.status == 503 && stop.is_set() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
