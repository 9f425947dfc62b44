//! `update`: the status updates that came and are not applied yet, by when they are looked at again.

use redb::TableDefinition;
use wharf_core::update::{Claim, Report, Target};
use wharf_core::{ChannelName, MessageId, TimeMs, Update};

use crate::codec::{Put, Take};
use crate::error::Malformed;
use crate::operation::updates::Place;

/// Key: when it is looked at again, in milliseconds, and its number, in the order of coming. Value: see [`encode`]. An
/// update that waits on is moved to another time; one that is applied or parked goes.
pub(crate) const TABLE: TableDefinition<'static, Key, &'static [u8]> =
    TableDefinition::new("update");

pub(crate) type Key = (u64, u64);

pub(crate) fn key(place: Place) -> Key {
    (place.due.0, place.number)
}

pub(crate) fn place((due, number): Key) -> Place {
    Place {
        due: TimeMs(due),
        number,
    }
}

const VERSION: u8 = 1;

/// `version | tries | received at | channel | claim u8 | id, token, sender, sender's reference, code, reason, reference:
/// maybe, each | notes`
pub(crate) fn encode(update: &Update, tries: u32) -> Vec<u8> {
    let Update {
        channel,
        target,
        report,
        received_at,
    } = update;
    let mut value = vec![VERSION];
    value.put_number(u64::from(tries));
    value.put_number(received_at.0);
    value.put_text(channel.as_str());
    value.put_u8(match report.status {
        Claim::Delivered => 1,
        Claim::Provisional => 2,
        Claim::Pending => 3,
        Claim::Rejected => 4,
    });
    value.put_maybe_text(target.id.as_ref().map(MessageId::as_str));
    for text in [
        &target.token,
        &target.sender,
        &target.sender_ref,
        &report.code,
        &report.reason,
        &report.reference,
    ] {
        value.put_maybe_text(text.as_deref());
    }
    value.put_pairs(&report.notes);
    value
}

/// The update, and how often it was tried.
pub(crate) fn decode(value: &[u8]) -> Result<(Update, u32), Malformed> {
    let mut take = Take::versioned(value, VERSION)?;
    let tries = take.u32()?;
    let received_at = TimeMs(take.number()?);
    let channel = ChannelName::new(take.text()?);
    let status = match take.u8()? {
        1 => Claim::Delivered,
        2 => Claim::Provisional,
        3 => Claim::Pending,
        4 => Claim::Rejected,
        _ => return Err(Malformed("a claim is unknown")),
    };
    let id = take.maybe_text()?.map(MessageId::parse).transpose();
    let id = id.map_err(|_| Malformed("a message id is bad"))?;
    let mut text = || Ok(take.maybe_text()?.map(str::to_owned));
    let target = Target {
        id,
        token: text()?,
        sender: text()?,
        sender_ref: text()?,
    };
    let report = Report {
        status,
        code: text()?,
        reason: text()?,
        reference: text()?,
        notes: take.pairs()?,
    };
    take.end()?;
    let update = Update {
        channel,
        target,
        report,
        received_at,
    };
    Ok((update, tries))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wharf_core::Pairs;

    use super::*;

    type Texts = [Option<String>; 3];

    proptest! {
        #[test]
        fn updates_round_trip(
            channel: String,
            id in prop::option::of("[A-Za-z0-9_-]{1,64}"),
            (known, said) in any::<(Texts, Texts)>(),
            status in prop::sample::select(&[
                Claim::Delivered, Claim::Provisional, Claim::Pending, Claim::Rejected,
            ]),
            notes: Pairs,
            received_at: u64,
            tries: u32,
        ) {
            let [token, sender, sender_ref] = known;
            let [code, reason, reference] = said;
            let update = Update {
                channel: ChannelName::new(&channel),
                target: Target {
                    id: id.map(|id| MessageId::parse(&id).unwrap()),
                    token,
                    sender,
                    sender_ref,
                },
                report: Report { status, code, reason, reference, notes },
                received_at: TimeMs(received_at),
            };
            prop_assert_eq!(decode(&encode(&update, tries)).unwrap(), (update, tries));
        }

        #[test]
        fn broken_updates_are_refused(value: Vec<u8>) {
            let _ = decode(&value);
        }
    }
}
