//! Where the bytes go.

/// What a store is kept in: a file, or what a test puts in its place. Named here, so that whoever implements it
/// need not name the engine.
pub use redb::StorageBackend as Backend;

/// A backend behind a pointer: the engine takes a sized one.
#[derive(Debug)]
pub(crate) struct Boxed(pub(crate) Box<dyn Backend>);

type Io<T> = Result<T, std::io::Error>;

impl Backend for Boxed {
    fn len(&self) -> Io<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Io<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Io<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Io<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Io<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> Io<()> {
        self.0.close()
    }
}
