//! Writing the file of routes, so that a crash leaves the old one or the new one.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

const HEAD: &str =
    "# Written by PUT /v1/routes. It may be edited: reload the configuration then (SIGHUP).\n\n";

/// Puts it in the place of the one that is there, and returns once that is on disk.
pub(super) fn write(path: &Path, routes: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(HEAD.as_bytes())?;
    file.write_all(routes.as_bytes())?;
    file.as_file().sync_all()?;
    if let Ok(before) = std::fs::metadata(path) {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.toml");
        for text in ["[[route]]\n", ""] {
            write(&path, text).unwrap();
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                format!("{HEAD}{text}")
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("absent/routes.toml"), "").is_err());
    }
}
