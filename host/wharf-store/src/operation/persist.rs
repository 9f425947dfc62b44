//! Putting claims on disk before they are attempted, so that the next start knows what was out.

use redb::ReadableTable;
use wharf_core::{DeliveryId, Fence};

use crate::error::{ReadError, WriteError};
use crate::group::Group;
use crate::index::SharedIndex;
use crate::operation::claim::{Claim, Unpersisted};
use crate::request::Write;
use crate::store::Store;
use crate::table::claimed::{self, Claimed};

impl Store {
    /// Puts claims on disk, and returns them once they are there, to be attempted. Their settles remove them.
    pub async fn persist_claims(&self, claims: Unpersisted) -> Result<Vec<Claim>, WriteError> {
        let ids: Vec<_> = claims
            .to_attempt()
            .map(|lease| (lease.delivery(), lease.fence()))
            .collect();
        let bytes = ids.len() * size_of::<(DeliveryId, Fence)>();
        self.write(ids, bytes, Write::Persist).await?;
        Ok(claims.0)
    }
}

/// The writer's part. A lease that was lost is left out: its delivery may have been settled since.
pub(crate) fn apply(
    group: &mut Group<'_>,
    index: &SharedIndex,
    mut leases: Vec<(DeliveryId, Fence)>,
) -> Result<(), ReadError> {
    let given_back = {
        let mut index = index.lock();
        leases.retain(|(id, fence)| index.note_claimed(*id, *fence));
        index.given_back()
    };
    let mut table = group.tx.open_table(claimed::TABLE)?;
    let mut put = |id: DeliveryId, is_claimed| -> Result<(), ReadError> {
        let found_count = match table.get(id.0)? {
            Some(value) => Claimed::decode(value.value())?.found_count,
            None => 0,
        };
        let claimed = Claimed {
            found_count,
            is_claimed,
        };
        if claimed.says_something() {
            table.insert(id.0, claimed.encode().as_slice())?;
        } else {
            table.remove(id.0)?;
            index.lock().unclaim(id);
        }
        Ok(())
    };
    for (id, _) in leases {
        put(id, true)?;
    }
    for id in given_back {
        put(id, false)?;
    }
    drop(table);
    group.changed();
    Ok(())
}
