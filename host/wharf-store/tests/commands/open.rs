//! Opening: a store is one handle's alone, and keeps to itself.

use std::fs;

use wharf_store::{OpenError, Options};

use crate::fixture::{Fixture, T0, accept, open};

#[test]
fn a_file_that_is_open_elsewhere_is_locked() {
    let fixture = Fixture::new();
    let error = open(&fixture.path(), &fixture.options).err().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = open("/nowhere/store".as_ref(), &Options::new([0; 32], T0))
        .err()
        .unwrap();
    assert!(
        matches!(&error, OpenError::Io { path, .. } if path.ends_with("store")),
        "{error:?}"
    );
}

/// The key that ids are hashed with is the file's, whatever the options say later.
#[test]
fn the_id_key_is_kept_from_creation() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.options.id_key = [9; 32];
    fixture.restart();
    assert_eq!(fixture.delivery("m").channel.as_str(), "a");
}

/// Payloads are private. What an operator changes stays changed.
#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let mut fixture = Fixture::new();
    let mode = |fixture: &Fixture| {
        let permissions = fs::metadata(fixture.path()).unwrap().permissions();
        permissions.mode() & 0o777
    };
    assert_eq!(mode(&fixture), 0o600);
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o640)).unwrap();
    fixture.restart();
    assert_eq!(mode(&fixture), 0o640);
}
