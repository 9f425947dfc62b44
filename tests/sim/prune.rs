//! Retention. What it removes depends on chunks and on how much it may do at once, of which the model knows nothing: so
//! the store says what it has removed, and the model whether that could go. All else has to be as it was.

use std::time::Duration;

use wharf_core::journal::Subject;
use wharf_core::{Cause, Cursor, MessageSeq, Status, TimeMs};
use wharf_store::{Prune, Pruned, Space, Store};

use crate::model::{Model, ModelMessage};
use crate::verify::same;
use crate::world::{Answer, Said, Unsaid, World, answers};

/// What is asked for, and what stood before.
pub(crate) struct Pruning {
    asked: Prune,
    space: Space,
}

impl World {
    /// Removes some of what ended, in a commit of its own, with other ages each time.
    pub(crate) fn prune(&mut self) -> Result<(), String> {
        let ages = [0, 0, 1, 500, 3_000, 1_000_000].map(Duration::from_millis);
        let space = self.store.stats().space;
        let random = &mut self.random;
        let share = |random: &mut wharf_testkit::random::Random, bytes: u64| {
            random.once_in(4).then(|| random.below(bytes + 1))
        };
        let readers = (0..3).map(|nth| format!("reader-{nth}"));
        let asked = Prune {
            now: self.now,
            ended: *random.pick(&ages),
            dead: *random.pick(&ages),
            ids: *random.pick(&ages),
            message_bytes_max: share(random, space.message_bytes),
            journal: *random.pick(&ages),
            journal_bytes_max: share(random, space.journal_bytes),
            journal_bytes_hard: share(random, space.journal_bytes),
            readers: readers.filter(|_| random.once_in(3)).collect(),
            values_max: *random.pick(&[1, 3, 1_000]),
        };
        let pruning = Pruning { asked, space };
        let (store, asked) = (self.store.clone(), pruning.asked.clone());
        let asked = async move {
            let pruned = store.prune(asked).await;
            Answer::Written(pruned.map(Said::Prune).map_err(Unsaid::from))
        };
        match answers(&mut self.engine, vec![Box::pin(asked)]).pop() {
            Some(Answer::Written(Ok(Said::Prune(pruned)))) => {
                let mut model = self.model.clone();
                let found = match pruning.reconcile(&self.store, &mut model) {
                    // Something went wrong behind the commit: what it removed is seen by the next start.
                    Err(_) if !self.is_up() => {
                        self.pruning = Some(pruning);
                        return Ok(());
                    }
                    found => found?,
                };
                self.model = model;
                let is_more = pruned.is_more;
                same("what was removed", pruned, Pruned { is_more, ..found })
            }
            Some(Answer::Written(Err(_))) if !self.is_up() => {
                self.pruning = Some(pruning);
                Ok(())
            }
            _ => Err("a prune is not answered on a disk that does not fail".to_owned()),
        }
    }
}

impl Pruning {
    /// Has the model hold what the store has left, if all that is gone could go. Returns what was removed.
    pub(crate) fn reconcile(&self, store: &Store, model: &mut Model) -> Result<Pruned, String> {
        let (ids, space) = {
            let stats = store.stats();
            (stats.ids, stats.space)
        };
        let mut found = Pruned::default();
        let read_to = self.read_to(model);
        self.journal(model, space.journal_from, read_to, &mut found)?;
        let read_to = read_to.max(Cursor(model.journal_from.0 - 1));
        let kept: Vec<_> = model.kept().map(|message| message.seq).collect();
        for seq in kept {
            let is_there = store
                .get_numbered(seq)
                .map_err(|cause| format!("cannot read the store: {cause:?}"))?
                .is_some();
            if is_there {
                continue;
            }
            let message = &model.messages[&seq];
            if !self.may_go(model, message, read_to) {
                return Err(format!(
                    "message {seq} was removed too early: {message:.300?}"
                ));
            }
            found.messages += 1;
            found.deliveries += message.deliveries.len() as u64;
            model.removed.insert(seq);
        }
        let limit = before(self.asked.now, self.asked.ids);
        for seq in (model.ids_known_from.0..ids.from.0).map(MessageSeq) {
            let accepted_at = model.messages[&seq].message.accepted_at;
            let may_be_forgotten = model.removed.contains(&seq) && accepted_at <= limit;
            same("an id is forgotten in time", may_be_forgotten, true)?;
        }
        model.forget_ids(ids.from);
        Ok(found)
    }

    /// The rows that are gone were old enough, or too many; and read, or a row says that they were not.
    fn journal(
        &self,
        model: &mut Model,
        from: Cursor,
        read_to: Cursor,
        found: &mut Pruned,
    ) -> Result<(), String> {
        let Prune {
            now,
            journal_bytes_max,
            journal_bytes_hard,
            ..
        } = self.asked;
        let is_over = |bytes_max: Option<u64>| {
            bytes_max.is_some_and(|bytes_max| self.space.journal_bytes > bytes_max)
        };
        let limit = before(now, self.asked.journal);
        let gone = &model.journal[model.journal_from.0 as usize - 1..from.0 as usize - 1];
        for row in gone {
            let is_wanted = row.at > limit && !is_over(journal_bytes_max);
            let may_go = is_over(journal_bytes_hard) || !is_wanted && row.cursor <= read_to;
            if !may_go {
                return Err(format!("a row was removed too early: {row:.300?}"));
            }
        }
        found.rows = gone.len() as u64;
        model.journal_from = from;
        let last = Cursor(from.0 - 1);
        if last > read_to {
            let first = Cursor(read_to.0 + 1);
            found.gap = Some(wharf_store::Gap { first, last });
            let subject = Subject::Gap { first, last };
            model.row(None, subject, Cause::Gap, now, None, None);
        }
        Ok(())
    }

    fn read_to(&self, model: &Model) -> Cursor {
        let readers = self.asked.readers.iter();
        let cursors = readers.filter_map(|name| model.cursors.get(name).copied());
        let read_to = cursors.min().unwrap_or(model.head()).min(model.head());
        read_to.max(Cursor(model.journal_from.0 - 1))
    }

    fn may_go(&self, model: &Model, message: &ModelMessage, read_to: Cursor) -> bool {
        let is_over = |bytes_max| self.space.message_bytes > bytes_max;
        let is_too_much = self.asked.message_bytes_max.is_some_and(is_over);
        let has_passed = |last: Cursor, is_dead: bool| {
            let age = if is_dead {
                self.asked.dead
            } else {
                self.asked.ended
            };
            let is_old = model.journal[last.0 as usize - 1].at <= before(self.asked.now, age);
            let is_gone = last < model.journal_from;
            is_gone || (is_old || is_too_much) && last <= read_to
        };
        if message.planned.is_empty() {
            return has_passed(model.of_message(message.seq), true);
        }
        message.deliveries.iter().all(|delivery| {
            let is_dead = matches!(
                delivery.status,
                Status::Dead | Status::Rejected | Status::Shed
            );
            delivery.status.is_final() && has_passed(delivery.last, is_dead)
        })
    }
}

fn before(now: TimeMs, age: Duration) -> TimeMs {
    TimeMs(now.0.saturating_sub(age.as_millis() as u64))
}
