//! What a component file looks like from outside: told without the compiler, before anything is compiled.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use crate::problem::LoadProblem;

/// Length of the preamble: magic, version, layer.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>
const PREAMBLE_BYTES: u64 = 8;

/// Tells the usual mistakes apart before the compiler's words about offsets do.
pub(super) fn check(wasm: &[u8]) -> Result<(), LoadProblem> {
    const MAGIC: &[u8] = b"\0asm";
    const MODULE: &[u8] = &[1, 0, 0, 0];
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    let what = match wasm.split_at_checked(4) {
        None if wasm.is_empty() => "the file is empty; copy it again",
        Some((MAGIC, rest)) if rest.starts_with(COMPONENT) => {
            let mut file = io::Cursor::new(wasm);
            match ends_with_a_section(&mut file, wasm.len() as u64) {
                Ok(true) => return Ok(()),
                Ok(false) | Err(_) => "the file is cut off; copy it again",
            }
        }
        Some((MAGIC, rest)) if rest.starts_with(MODULE) => {
            "it is a core module; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
        }
        Some((MAGIC, _)) => "its binary version is unknown; build for wasm32-wasip2",
        _ => "it does not start like WebAssembly; build for wasm32-wasip2",
    };
    Err(LoadProblem::NotAComponent { what })
}

/// Whether the file can be all of a WebAssembly binary: a preamble and sections, the last of which ends where the
/// file does. One that is still being copied is not, but for the rare pause between two sections. Only the sections'
/// heads are read.
pub fn is_whole(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    ends_with_a_section(&mut BufReader::new(file), size_bytes)
}

fn ends_with_a_section(file: &mut (impl Read + Seek), size_bytes: u64) -> io::Result<bool> {
    file.seek_relative(PREAMBLE_BYTES as i64)?;
    let mut at = PREAMBLE_BYTES;
    while at < size_bytes {
        let mut id = [0];
        file.read_exact(&mut id)?;
        let Some((length, length_bytes)) = read_u32(file)? else {
            return Ok(false);
        };
        at += 1 + length_bytes + u64::from(length);
        file.seek_relative(i64::from(length))?;
    }
    Ok(at == size_bytes)
}

/// A number in LEB128 and how many bytes it took. None: more than 32 bits, or cut off.
fn read_u32(file: &mut impl Read) -> io::Result<Option<(u32, u64)>> {
    let mut value = 0u64;
    for place in 0..5u64 {
        let mut byte = [0];
        match file.read_exact(&mut byte) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        value |= u64::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] & 0x80 == 0 {
            return Ok(u32::try_from(value).ok().map(|value| (value, place + 1)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

    /// Whole at the end of a section only, wherever the file is cut.
    #[test]
    fn a_cut_file_is_not_whole() {
        let mut wasm = PREAMBLE.to_vec();
        wasm.extend([0, 3, 1, b'a', 7]);
        wasm.extend([0, 0x82, 0x01]);
        wasm.extend([0; 130]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        let ends: Vec<usize> = (0..=wasm.len())
            .filter(|end| {
                std::fs::write(&path, &wasm[..*end]).unwrap();
                is_whole(&path).unwrap()
            })
            .collect();
        assert_eq!(ends, [8, 13, wasm.len()]);
    }

    #[test]
    fn a_mistake_is_named() {
        let refused = |wasm: &[u8], words: &str| {
            let problem = check(wasm).unwrap_err().to_string();
            assert!(problem.contains(words), "{wasm:?}: {problem}");
        };
        refused(b"", "is empty; copy it again");
        refused(b"hello", "does not start like WebAssembly");
        refused(b"\0asm\x01\0\0\0", "is a core module");
        refused(b"\0asm\x0e\0\x01\0", "binary version is unknown");
        refused(&[PREAMBLE, &[7]].concat(), "is cut off; copy it again");
        refused(&[PREAMBLE, &[7, 3, 0]].concat(), "is cut off");
        refused(&[PREAMBLE, &[7, 0x80, 0x80]].concat(), "is cut off");
        refused(
            &[PREAMBLE, &[7, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(),
            "is cut off",
        );
        assert!(check(PREAMBLE).is_ok());
    }
}
