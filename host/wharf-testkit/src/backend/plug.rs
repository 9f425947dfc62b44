//! The disk as a store sees it.

use std::io;
use std::sync::MutexGuard;

use wharf_store::Backend;

use super::change::{Change, Of};
use super::disk::{Disk, PowerCut};
use super::fault::Call;

/// A handle on a disk, from when it was plugged in to the next cut or restart.
#[derive(Debug)]
pub(super) struct Plug {
    pub(super) disk: PowerCut,
    pub(super) of: Of,
    pub(super) number: u64,
}

impl Plug {
    fn powered(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.disk();
        if disk.is_cut || disk.plug != self.number {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(disk)
    }
}

impl Backend for Plug {
    fn len(&self) -> io::Result<u64> {
        Ok(self.powered()?.current[self.of as usize].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.powered()?;
        disk.may_fail(Call::Read)?;
        let offset = offset as usize;
        let bytes = disk.current[self.of as usize].get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (offset, data) = (offset as usize, data.to_vec());
        self.powered()?
            .change(Call::Write, self.of, Change::Write { offset, data })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.powered()?;
        let len = len as usize;
        let call = if len > disk.current[self.of as usize].len() {
            Call::Grow
        } else {
            Call::Shrink
        };
        disk.change(call, self.of, Change::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.powered()?.sync(self.of)
    }
}
