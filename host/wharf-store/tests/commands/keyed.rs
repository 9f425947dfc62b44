//! Named values.

use bytes::Bytes;
use wharf_store::{STATE_BYTES_MAX, STATE_COUNT_MAX, STATE_NAME_BYTES_MAX, SetStateError};

use crate::fixture::{Fixture, wait};

fn set(fixture: &Fixture, name: &str, value: Option<&str>) -> Result<(), SetStateError> {
    let value = value.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let set = wait(fixture.store.set_state(name, value));
    fixture.check();
    set
}

/// Every name that begins so, with its value, now and after a restart.
fn check(fixture: &mut Fixture, prefix: &str, expected: &[(&str, &str)]) {
    for _ in 0..2 {
        let states = fixture.store.states(prefix);
        let found: Vec<_> = states
            .iter()
            .map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(found, expected);
        for (name, value) in expected {
            assert_eq!(fixture.store.state(name).unwrap(), value.as_bytes());
        }
        fixture.restart();
    }
}

#[test]
fn a_value_is_kept_until_it_is_changed_or_removed() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.store.state("pause/a"), None);
    set(&fixture, "pause/a", Some("410")).unwrap();
    set(&fixture, "pause/b", Some("")).unwrap();
    set(&fixture, "pause", Some("x")).unwrap();
    set(&fixture, "pausf", Some("y")).unwrap();
    check(
        &mut fixture,
        "pause/",
        &[("pause/a", "410"), ("pause/b", "")],
    );
    set(&fixture, "pause/a", Some("by hand")).unwrap();
    set(&fixture, "pause/b", None).unwrap();
    set(&fixture, "pause/c", None).unwrap();
    check(
        &mut fixture,
        "pause",
        &[("pause", "x"), ("pause/a", "by hand")],
    );
    let all = [("pause", "x"), ("pause/a", "by hand"), ("pausf", "y")];
    check(&mut fixture, "", &all);
}

/// What stands already costs no commit.
#[test]
fn a_value_that_stands_is_not_written_again() {
    let fixture = Fixture::new();
    let commits = || fixture.store.stats().commit_us.count();
    let journal_head = *fixture.store.journal_head().borrow();
    set(&fixture, "a", Some("1")).unwrap();
    set(&fixture, "a", Some("1")).unwrap();
    set(&fixture, "b", None).unwrap();
    assert_eq!(commits(), 3, "each is a turn of the writer");
    assert_eq!(*fixture.store.journal_head().borrow(), journal_head);
}

#[test]
fn names_and_values_are_bounded() {
    let fixture = Fixture::new();
    let longest = "n".repeat(STATE_NAME_BYTES_MAX);
    let largest = "v".repeat(STATE_BYTES_MAX);
    set(&fixture, &longest, Some(&largest)).unwrap();
    let name = |name: &str| set(&fixture, name, Some(""));
    assert!(matches!(name(""), Err(SetStateError::Name(0))));
    assert!(matches!(
        name(&(longest + "n")),
        Err(SetStateError::Name(513))
    ));
    let too_large = set(&fixture, "a", Some(&(largest + "v")));
    assert!(matches!(too_large, Err(SetStateError::TooLarge(4097))));
    assert_eq!(fixture.store.states("").len(), 1);
}

#[test]
fn the_number_of_values_is_bounded() {
    let fixture = Fixture::new();
    let one = |n: u64| {
        let store = fixture.store.clone();
        async move { store.set_state(&n.to_string(), Some(Bytes::new())).await }
    };
    std::thread::scope(|scope| {
        for part in 0..16 {
            scope.spawn(move || {
                for n in (part..STATE_COUNT_MAX).step_by(16) {
                    wait(one(n)).unwrap();
                }
            });
        }
    });
    let another = || set(&fixture, "another", Some(""));
    assert!(matches!(another(), Err(SetStateError::Full)));
    set(&fixture, "0", Some("what is there can change")).unwrap();
    assert!(matches!(another(), Err(SetStateError::Full)));
    set(&fixture, "0", None).unwrap();
    another().unwrap();
}
