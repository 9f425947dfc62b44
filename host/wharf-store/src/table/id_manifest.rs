//! Which runs the id index has, and how far their merges are: one value in [`super::meta`].

use wharf_core::MessageSeq;

use super::id_entry::IdHash;
use super::id_run::RunNumber;
use crate::codec::{Put, Take};
use crate::error::Malformed;

const VERSION: u8 = 1;

/// A sorted run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) number: RunNumber,
    /// How often its entries were merged.
    pub(crate) level: u32,
    pub(crate) entries_count: u64,
    /// The highest message number in it.
    pub(crate) highest: MessageSeq,
}

/// Runs that are becoming one, in steps.
///
/// What lies below `next` is in the output, and blocks of the inputs that end below it are gone; what lies from
/// `next` on is in the inputs alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Their counts are those from before the merge.
    pub(crate) inputs: Vec<Run>,
    /// As far as it is written.
    pub(crate) output: Run,
    pub(crate) next: IdHash,
    /// Messages up to here have been paid for with steps: see [`crate::ids`].
    pub(crate) paid_to: MessageSeq,
}

/// What the tables of runs and filters hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Ids of messages below are as if never seen.
    pub(crate) floor: MessageSeq,
    pub(crate) next_run: RunNumber,
    /// Runs that are not being merged; of one level, the older before the newer.
    pub(crate) runs: Vec<Run>,
    pub(crate) merges: Vec<Merge>,
}

impl Run {
    pub(crate) fn new(number: RunNumber, level: u32) -> Self {
        Self {
            number,
            level,
            entries_count: 0,
            highest: MessageSeq(0),
        }
    }

    fn put(&self, value: &mut Vec<u8>) {
        value.put_number(self.number.0);
        value.put_number(u64::from(self.level));
        value.put_number(self.entries_count);
        value.put_number(self.highest.0);
    }

    fn take(take: &mut Take<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            number: RunNumber(take.number()?),
            level: take.u32()?,
            entries_count: take.number()?,
            highest: MessageSeq(take.number()?),
        })
    }
}

impl Merge {
    /// The level of its inputs.
    pub(crate) fn level(&self) -> u32 {
        self.inputs[0].level
    }

    /// Whether all of it lies below the floor.
    pub(crate) fn is_forgotten(&self, floor: MessageSeq) -> bool {
        let mut runs = self.inputs.iter().chain([&self.output]);
        runs.all(|run| run.highest < floor)
    }
}

impl Manifest {
    /// Of a store that holds nothing.
    pub(crate) fn empty() -> Self {
        Self {
            floor: MessageSeq(1),
            next_run: RunNumber(1),
            runs: Vec::new(),
            merges: Vec::new(),
        }
    }

    /// A number for a new run.
    pub(crate) fn number(&mut self) -> RunNumber {
        let number = self.next_run;
        self.next_run.0 += 1;
        number
    }

    /// The runs that can hold an id which still counts.
    pub(crate) fn covering(&self, hash: IdHash) -> impl Iterator<Item = RunNumber> {
        let merging = self.merges.iter().flat_map(move |merge| {
            if hash < merge.next {
                std::slice::from_ref(&merge.output)
            } else {
                &merge.inputs[..]
            }
        });
        let runs = self.runs.iter().chain(merging);
        runs.filter(|run| run.highest >= self.floor)
            .map(|run| run.number)
    }

    /// Every run, with the hash from which on it counts.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Run, IdHash)> {
        let merging = self.merges.iter().flat_map(|merge| {
            let inputs = merge.inputs.iter().map(|run| (run, merge.next));
            inputs.chain([(&merge.output, IdHash::MIN)])
        });
        self.runs
            .iter()
            .map(|run| (run, IdHash::MIN))
            .chain(merging)
    }

    /// `version | floor | next run | runs: count, each | merges: count, each (inputs: count, each; output; next hash
    /// 16 bytes; paid to)`. A run is `number | level | entries | highest message`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        value.put_number(self.floor.0);
        value.put_number(self.next_run.0);
        put_runs(&self.runs, &mut value);
        value.put_number(self.merges.len() as u64);
        for merge in &self.merges {
            put_runs(&merge.inputs, &mut value);
            merge.output.put(&mut value);
            value.extend_from_slice(&merge.next.to_bytes());
            value.put_number(merge.paid_to.0);
        }
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::versioned(value, VERSION)?;
        let (floor, next_run) = (MessageSeq(take.number()?), RunNumber(take.number()?));
        let runs = take_runs(&mut take)?;
        let mut merges = Vec::new();
        for _ in 0..take.count()? {
            let inputs = take_runs(&mut take)?;
            if inputs.is_empty() {
                return Err(Malformed("a merge of id runs has no input"));
            }
            merges.push(Merge {
                inputs,
                output: Run::take(&mut take)?,
                next: IdHash::from_bytes(take.array()?),
                paid_to: MessageSeq(take.number()?),
            });
        }
        take.end()?;
        Ok(Self {
            floor,
            next_run,
            runs,
            merges,
        })
    }
}

fn put_runs(runs: &[Run], value: &mut Vec<u8>) {
    value.put_number(runs.len() as u64);
    for run in runs {
        run.put(value);
    }
}

fn take_runs(take: &mut Take<'_>) -> Result<Vec<Run>, Malformed> {
    (0..take.count()?).map(|_| Run::take(take)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Run>> {
        let run =
            any::<(u64, u32, u64, u64)>().prop_map(|(number, level, entries_count, seq)| Run {
                number: RunNumber(number),
                level,
                entries_count,
                highest: MessageSeq(seq),
            });
        prop::collection::vec(run, count)
    }

    proptest! {
        #[test]
        fn manifests_round_trip(
            floor: u64,
            next_run: u64,
            at_rest in runs(0..9),
            merging in prop::collection::vec((runs(2..6), any::<u128>(), any::<u64>()), 0..4),
        ) {
            let merges = merging.into_iter().map(|(mut inputs, next, paid_to)| Merge {
                output: inputs.remove(0),
                inputs,
                next: IdHash(next),
                paid_to: MessageSeq(paid_to),
            });
            let manifest = Manifest {
                floor: MessageSeq(floor),
                next_run: RunNumber(next_run),
                runs: at_rest,
                merges: merges.collect(),
            };
            prop_assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
        }

        #[test]
        fn broken_manifests_are_refused(mut value: Vec<u8>) {
            if let Some(first) = value.first_mut() {
                *first = VERSION;
            }
            let _ = Manifest::decode(&value);
        }
    }

    #[test]
    fn a_look_up_reads_the_output_below_the_next_hash_and_the_inputs_from_it_on() {
        let mut manifest = Manifest::empty();
        let mut run = |level, highest| Run {
            highest: MessageSeq(highest),
            ..Run::new(manifest.number(), level)
        };
        let (forgotten, at_rest) = (run(1, 4), run(1, 9));
        let (inputs, output) = (vec![run(0, 7), run(0, 8)], run(1, 8));
        manifest.floor = MessageSeq(5);
        manifest.runs = vec![forgotten, at_rest];
        manifest.merges = vec![Merge {
            inputs,
            output,
            next: IdHash(100),
            paid_to: MessageSeq(9),
        }];
        let covering = |hash| -> Vec<_> { manifest.covering(IdHash(hash)).map(|r| r.0).collect() };
        assert_eq!(covering(99), [2, 5]);
        assert_eq!(covering(100), [2, 3, 4]);
    }
}
