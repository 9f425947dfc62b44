//! What happens between two cuts: one thing after the other, chosen by chance.

use std::time::Duration;

use crate::model::Model;
use crate::verify::same;
use crate::world::{Answer, Asked, RECENT_IDS, Said, Unsaid, World, answers};

/// Something to commit, as the world asks it.
pub(crate) fn written(asked: impl Future<Output = Result<Said, Unsaid>> + 'static) -> Asked {
    Box::pin(async { Answer::Written(asked.await) })
}

impl World {
    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.random.below(59) {
            0..=15 => self.group(),
            16..=27 => self.claim(),
            28..=31 => {
                self.now = self
                    .now
                    .after(Duration::from_millis(self.random.below(2_000)));
                match self.store.promote_due(self.now) {
                    Err(cause) if self.is_up() => Err(format!("cannot promote: {cause:?}")),
                    _ => Ok(()),
                }
            }
            32..=35 => {
                self.drop_some();
                Ok(())
            }
            36..=38 => {
                self.revoke_some();
                Ok(())
            }
            39..=42 => self.operate(),
            43..=45 => self.look(),
            46 => self.drain(),
            47..=49 => self.prune(),
            51..=58 => self.report(),
            // In the middle of life, with leases out and deliveries waiting.
            _ => self.verify(),
        }
    }

    /// Several requests at once, which become one commit.
    pub(crate) fn group(&mut self) -> Result<(), String> {
        let mut model = self.model.clone();
        let mut asked: Vec<Asked> = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.random.below(3) {
            let (one, answer) = match self.random.below(24) {
                0..=7 => self.ask_accept(&mut model),
                8..=13 => self.ask_settle(&mut model),
                19 | 20 => self.ask_defer(&mut model),
                14 => self.ask_cursor(&mut model),
                15 => self.ask_forget(&mut model),
                16 => self.ask_park(&mut model),
                21..=23 => self.ask_receive(&mut model),
                _ => self.ask_state(&mut model),
            };
            asked.push(one);
            expected.push(answer);
        }
        self.commit(asked, expected, model)
    }

    /// What is committed alone.
    fn operate(&mut self) -> Result<(), String> {
        let mut model = self.model.clone();
        let (asked, expected) = match self.random.below(5) {
            0 | 1 => self.ask_cancel(&mut model),
            2 | 3 => self.ask_redrive(&mut model),
            _ => self.ask_reroute(&mut model),
        };
        self.commit(vec![asked], vec![expected], model)
    }

    /// What partners report, and what is made of it.
    fn report(&mut self) -> Result<(), String> {
        let mut model = self.model.clone();
        let (asked, expected) = match model.updates.is_empty() || self.random.once_in(3) {
            true => self.ask_receive(&mut model),
            false => self.ask_apply(&mut model),
        };
        self.commit(vec![asked], vec![expected], model)
    }

    /// Has the writer make one commit of what is asked, and compares what it says. `model` is what stands then.
    pub(crate) fn commit(
        &mut self,
        asked: Vec<Asked>,
        expected: Vec<Said>,
        model: Model,
    ) -> Result<(), String> {
        let new_count = model.messages.len() - self.model.messages.len();
        let ids = self.store.stats().ids;
        let answers = answers(&mut self.engine, asked);
        // Who cannot be told a first answer is told that the commit stands.
        let is_acknowledged = answers
            .iter()
            .any(|answer| matches!(answer, Answer::Written(Ok(_) | Err(Unsaid::FirstAnswer))));
        if !is_acknowledged {
            self.was_new_run = ids.recent as usize + new_count >= RECENT_IDS && new_count > 0;
            return self.not_acknowledged(&answers, model);
        }
        // What is acknowledged is on disk, whatever happens from here on.
        self.model = model;
        for (answer, expected) in answers.into_iter().zip(expected) {
            match answer {
                Answer::Written(Ok(found)) => same("answer", found, expected)?,
                // The commit stands, and then the first answer to a duplicate could not be read.
                Answer::Written(Err(Unsaid::FirstAnswer)) if !self.is_up() => {}
                Answer::Written(Err(unsaid)) => {
                    return Err(format!("one commit has two outcomes: {unsaid:?}"));
                }
                Answer::Check(_) | Answer::Close(_) => return Err("another answer".to_owned()),
            }
        }
        Ok(())
    }

    /// A commit of which nobody was told that it stands: it may, as a whole.
    fn not_acknowledged(&mut self, answers: &[Answer], model: Model) -> Result<(), String> {
        let mut was_asked = false;
        for answer in answers {
            match answer {
                Answer::Written(Err(unsaid)) if self.is_up() => {
                    return Err(format!("{unsaid:?} on a disk that does not fail"));
                }
                Answer::Written(Err(Unsaid::Unknown)) => was_asked = true,
                Answer::Written(Err(Unsaid::NotAsked)) => {}
                Answer::Written(Err(Unsaid::Other(cause))) => {
                    return Err(format!("a commit that failed is not unknown: {cause}"));
                }
                Answer::Written(Ok(_) | Err(Unsaid::FirstAnswer))
                | Answer::Check(_)
                | Answer::Close(_) => {
                    return Err("another answer".to_owned());
                }
            }
        }
        self.model_in_flight = was_asked.then_some(model);
        Ok(())
    }
}
