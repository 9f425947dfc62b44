//! Files of every format that was released: they must open, and hold what they held.
//!
//! A file is `tests/golden/format-N.redb.zst`, what it holds is `format-N.ndjson.zst` beside it, an export. A change of the
//! format gets another number, a step in `migrate`, and another file; those of before stay. That of the format as it
//! is now is made by
//!
//! ```sh
//! cargo test -p wharf-store --test commands -- --ignored write_the_golden_file
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use wharf_store::{Options, Store, StoreFile};

use super::transfer::{export, with_removed};
use crate::fixture::{T0, wait};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn format(path: &Path) -> u32 {
    let file = StoreFile::open(path, 8 << 20, true, |_| {}).unwrap();
    file.inspect(false, &mut |_| {}).unwrap().format
}

#[test]
#[ignore = "it makes the file that another test reads"]
fn write_the_golden_file() {
    let fixture = with_removed();
    wait(fixture.store.close()).unwrap();
    let path = fixture.path();
    let name = folder().join(format!("format-{}", format(&path)));
    fs::create_dir_all(folder()).unwrap();
    let write = |extension: &str, bytes: &[u8]| {
        let packed = zstd::encode_all(bytes, 19).unwrap();
        fs::write(name.with_extension(extension), packed).unwrap();
    };
    write("redb.zst", &fs::read(&path).unwrap());
    write("ndjson.zst", export(&path).as_bytes());
}

/// Goal: a file that was written before opens, passes its check, and holds what it held.
#[test]
fn every_golden_file_opens() {
    let files = fs::read_dir(folder()).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let stores = files.filter(|path| path.to_string_lossy().ends_with(".redb.zst"));
    let stores: Vec<_> = stores.collect();
    let working = tempfile::tempdir().unwrap();
    let mut formats = Vec::new();
    for packed in &stores {
        let name = packed.file_name().unwrap().to_str().unwrap();
        let path = working.path().join(name);
        let unpack = |path: &Path| zstd::decode_all(&*fs::read(path).unwrap()).unwrap();
        fs::write(&path, unpack(packed)).unwrap();
        let name = name.strip_suffix(".redb.zst").unwrap();
        let expected = unpack(&folder().join(format!("{name}.ndjson.zst")));
        let expected = String::from_utf8(expected).unwrap();
        for (now, before) in export(&path).lines().zip(expected.lines()) {
            assert_eq!(now, before, "{name}");
        }
        assert_eq!(export(&path).len(), expected.len(), "{name}");
        formats.push(name.to_owned());
        let store = Store::open(&path, &Options::new([0; 32], T0)).unwrap();
        wait(store.check()).unwrap();
        wait(store.close()).unwrap();
    }
    let now = with_removed();
    wait(now.store.close()).unwrap();
    let name = format!("format-{}", format(&now.path()));
    assert!(
        formats.contains(&name),
        "there is no golden file of {name}, only of {formats:?}: see the head of this file"
    );
}
