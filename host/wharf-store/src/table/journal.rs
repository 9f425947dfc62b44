//! `journal`: every stored transition, in the order of commits.

use wharf_core::journal::{Row, Subject};
use wharf_core::{Cause, Cursor, DeliveryId, MessageSeq, Standing, Status, TimeMs};

use super::{Numbered, attempt};
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: cursor of the blob's first row; the others follow without a gap. Value: a [`super::blob`], one part a row.
/// One commit writes one blob, more where it is large; none is ever changed, and they are removed from the front.
pub(crate) const TABLE: Numbered = Numbered::new("journal");

const IS_MESSAGE: u8 = 1;
const HAS_FROM: u8 = 2;
const HAS_PREVIOUS: u8 = 4;
const HAS_DUE: u8 = 8;
const HAS_ATTEMPT: u8 = 16;
/// The row has the first missing cursor for an id, 0 for a status, and the last missing cursor behind its time.
const IS_GAP: u8 = 32;

/// A row that is yet to be written; its attempt is encoded already.
pub(crate) struct Draft<'a> {
    pub(crate) previous: Option<Cursor>,
    pub(crate) subject: Subject,
    pub(crate) cause: Cause,
    pub(crate) at: TimeMs,
    pub(crate) due: Option<TimeMs>,
    pub(crate) attempt: Option<&'a [u8]>,
}

/// Appends a row. Its cursor is its place in the blob, and is not written.
pub(crate) fn encode(draft: &Draft<'_>, out: &mut Vec<u8>) {
    let mut flags = 0;
    let mut last = None;
    let (id, from, to) = match draft.subject {
        Subject::Delivery { id, from, to } => (id.0, from, to as u8),
        Subject::Message { seq, standing } => {
            flags |= IS_MESSAGE;
            (seq.0, None, standing as u8)
        }
        Subject::Gap { first, last: end } => {
            flags |= IS_GAP;
            last = Some(end);
            (first.0, None, 0)
        }
    };
    flags |= if from.is_some() { HAS_FROM } else { 0 };
    flags |= if draft.previous.is_some() {
        HAS_PREVIOUS
    } else {
        0
    };
    flags |= if draft.due.is_some() { HAS_DUE } else { 0 };
    flags |= if draft.attempt.is_some() {
        HAS_ATTEMPT
    } else {
        0
    };
    out.put_u8(flags);
    out.put_number(id);
    out.put_u8(to);
    out.put_u8(draft.cause as u8);
    out.put_number(draft.at.0);
    if let Some(last) = last {
        out.put_number(last.0);
    }
    if let Some(from) = from {
        out.put_u8(from as u8);
    }
    if let Some(previous) = draft.previous {
        out.put_number(previous.0);
    }
    if let Some(due) = draft.due {
        out.put_number(due.0);
    }
    if let Some(attempt) = draft.attempt {
        out.extend_from_slice(attempt);
    }
}

/// What retention asks of a row.
pub(crate) struct Stamp {
    pub(crate) at: TimeMs,
    /// The message, where the row is the first one about it or its delivery.
    pub(crate) accepted: Option<MessageSeq>,
}

/// Reads no more of a row than its [`Stamp`].
pub(crate) fn stamp(part: &[u8]) -> Result<Stamp, Malformed> {
    let mut take = Take::new(part);
    let (flags, id) = (take.u8()?, take.number()?);
    let (_to, _cause) = (take.u8()?, take.u8()?);
    let seq = if flags & IS_MESSAGE != 0 {
        MessageSeq(id)
    } else {
        DeliveryId(id).message()
    };
    let is_first = flags & (HAS_PREVIOUS | IS_GAP) == 0;
    Ok(Stamp {
        at: TimeMs(take.number()?),
        accepted: is_first.then_some(seq),
    })
}

pub(crate) fn decode(part: &[u8], cursor: Cursor) -> Result<Row, Malformed> {
    let mut take = Take::new(part);
    let flags = take.u8()?;
    let id = take.number()?;
    let to = take.u8()?;
    let cause = Cause::from_number(take.u8()?).ok_or(Malformed("a cause is unknown"))?;
    let at = TimeMs(take.number()?);
    let status = |number| Status::from_number(number).ok_or(Malformed("a status is unknown"));
    let from = if flags & HAS_FROM != 0 {
        Some(status(take.u8()?)?)
    } else {
        None
    };
    let subject = if flags & IS_GAP != 0 {
        Subject::Gap {
            first: Cursor(id),
            last: Cursor(take.number()?),
        }
    } else if flags & IS_MESSAGE != 0 {
        let standing = Standing::from_number(to).ok_or(Malformed("a standing is unknown"))?;
        Subject::Message {
            seq: MessageSeq(id),
            standing,
        }
    } else {
        Subject::Delivery {
            id: DeliveryId(id),
            from,
            to: status(to)?,
        }
    };
    let previous = if flags & HAS_PREVIOUS != 0 {
        Some(Cursor(take.number()?))
    } else {
        None
    };
    let due = if flags & HAS_DUE != 0 {
        Some(TimeMs(take.number()?))
    } else {
        None
    };
    let attempt = if flags & HAS_ATTEMPT != 0 {
        Some(Box::new(attempt::decode(&mut take)?))
    } else {
        None
    };
    take.end()?;
    Ok(Row {
        cursor,
        previous,
        subject,
        cause,
        at,
        due,
        attempt,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::attempt::tests::attempts;
    use super::*;

    fn subjects() -> impl Strategy<Value = Subject> {
        let statuses = || (0..Status::ALL.len()).prop_map(|at| Status::ALL[at]);
        prop_oneof![
            (any::<u64>(), prop::option::of(statuses()), statuses()).prop_map(|(id, from, to)| {
                Subject::Delivery {
                    id: DeliveryId(id),
                    from,
                    to,
                }
            }),
            any::<u64>().prop_map(|seq| Subject::Message {
                seq: MessageSeq(seq),
                standing: Standing::Unroutable
            }),
            any::<(u64, u64)>().prop_map(|(first, last)| Subject::Gap {
                first: Cursor(first),
                last: Cursor(last),
            }),
        ]
    }

    proptest! {
        #[test]
        fn rows_round_trip(
            subject in subjects(),
            previous: Option<u64>,
            cause in 0..Cause::ALL.len(),
            at: u64,
            due: Option<u64>,
            attempt in prop::option::of(attempts()),
        ) {
            let encoded = attempt.as_ref().map(|attempt| {
                let mut facts = Vec::new();
                attempt::encode(attempt, &mut facts);
                facts
            });
            let mut part = Vec::new();
            let row = Row {
                cursor: Cursor(7),
                previous: previous.map(Cursor),
                subject,
                cause: Cause::ALL[cause],
                at: TimeMs(at),
                due: due.map(TimeMs),
                attempt: attempt.clone().map(Box::new),
            };
            let draft = Draft {
                previous: row.previous,
                subject,
                cause: row.cause,
                at: row.at,
                due: row.due,
                attempt: encoded.as_deref(),
            };
            encode(&draft, &mut part);
            let stamp = stamp(&part).unwrap();
            prop_assert_eq!(stamp.at, row.at);
            let accepted = subject.message().filter(|_| previous.is_none());
            prop_assert_eq!(stamp.accepted, accepted);
            prop_assert_eq!(decode(&part, Cursor(7)).unwrap(), row);
        }

        #[test]
        fn broken_rows_are_refused(part: Vec<u8>) {
            let _ = (decode(&part, Cursor(1)), stamp(&part).is_ok());
        }
    }
}
