//! How a journal row keeps the facts of an attempt.

use wharf_core::TimeMs;
use wharf_core::journal::{Attempt, HookRun};
use wharf_core::outcome::Effect;

use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Appends an attempt. No version of its own: it lies within a journal row.
///
/// `number | started at | duration | hooks: count, each (text, digest 32 bytes, duration) | code | reason | effect u8 |
/// reference | flag, SHA-256 of the body | notes`
pub(crate) fn encode(attempt: &Attempt, part: &mut Vec<u8>) {
    part.put_number(u64::from(attempt.number));
    part.put_number(attempt.started_at.0);
    part.put_number(attempt.duration_us);
    part.put_number(attempt.hooks.len() as u64);
    for run in &attempt.hooks {
        part.put_text(&run.hook);
        part.extend_from_slice(&run.digest);
        part.put_number(run.duration_us);
    }
    part.put_maybe_text(attempt.code.as_deref());
    part.put_maybe_text(attempt.reason.as_deref());
    part.put_u8(match attempt.effect {
        None => 0,
        Some(Effect::None) => 1,
        Some(Effect::Unknown) => 2,
    });
    part.put_maybe_text(attempt.reference.as_deref());
    part.put_u8(u8::from(attempt.body_sha256.is_some()));
    if let Some(hash) = &attempt.body_sha256 {
        part.extend_from_slice(hash);
    }
    part.put_pairs(&attempt.notes);
}

pub(crate) fn decode(take: &mut Take<'_>) -> Result<Attempt, Malformed> {
    Ok(Attempt {
        number: take.u32()?,
        started_at: TimeMs(take.number()?),
        duration_us: take.number()?,
        hooks: hooks(take)?,
        code: take.maybe_text()?.map(str::to_owned),
        reason: take.maybe_text()?.map(str::to_owned),
        effect: match take.u8()? {
            0 => None,
            1 => Some(Effect::None),
            2 => Some(Effect::Unknown),
            _ => return Err(Malformed("an effect is unknown")),
        },
        reference: take.maybe_text()?.map(str::to_owned),
        body_sha256: if take.flag()? {
            Some(take.array()?)
        } else {
            None
        },
        notes: take.pairs()?,
    })
}

fn hooks(take: &mut Take<'_>) -> Result<Vec<HookRun>, Malformed> {
    let count = take.count()?;
    let mut hooks = Vec::new();
    for _ in 0..count {
        hooks.push(HookRun {
            hook: take.text()?.into(),
            digest: take.array()?,
            duration_us: take.number()?,
        });
    }
    Ok(hooks)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use wharf_core::Pairs;

    use super::*;

    type Texts = (Option<String>, Option<String>, Option<String>);

    pub(crate) fn attempts() -> impl Strategy<Value = Attempt> {
        let effects = prop_oneof![
            Just(None),
            Just(Some(Effect::None)),
            Just(Some(Effect::Unknown))
        ];
        let run =
            any::<(String, [u8; 32], u64)>().prop_map(|(hook, digest, duration_us)| HookRun {
                hook: hook.into(),
                digest,
                duration_us,
            });
        (
            any::<(u32, u64, u64)>(),
            prop::collection::vec(run, 0..4),
            any::<Pairs>(),
            any::<Texts>(),
            effects,
            any::<Option<[u8; 32]>>(),
        )
            .prop_map(|(numbers, hooks, notes, texts, effect, body_sha256)| {
                let (number, started_at, duration_us) = numbers;
                Attempt {
                    number,
                    started_at: TimeMs(started_at),
                    duration_us,
                    hooks,
                    code: texts.0,
                    reason: texts.1,
                    effect,
                    reference: texts.2,
                    body_sha256,
                    notes,
                }
            })
    }

    proptest! {
        #[test]
        fn attempts_round_trip(attempt in attempts()) {
            let mut part = Vec::new();
            encode(&attempt, &mut part);
            let mut take = Take::new(&part);
            prop_assert_eq!(decode(&mut take).unwrap(), attempt);
            take.end().unwrap();
        }
    }
}
