//! What could not be used.

use wharf_core::{Cursor, TimeMs};
use wharf_store::Parked;

use crate::fixture::{Fixture, accept, wait};

fn parked(source: &str, content: &[u8]) -> Parked {
    Parked {
        source: source.to_owned(),
        reason: "it cannot be read".to_owned(),
        at: TimeMs(7),
        content_type: "application/octet-stream".to_owned(),
        content: content.to_vec(),
    }
}

/// Equal ones are two, in the order in which they came, page by page, before and after a kill.
#[test]
fn what_is_parked_is_kept_as_it_came() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.store.parked(0, 9).unwrap(), []);
    let all = [
        parked("queue/a", &[0xff, 0]),
        parked("queue/a", &[0xff, 0]),
        parked("queue/b", b""),
    ];
    for (n, one) in (1..).zip(&all) {
        assert_eq!(wait(fixture.store.park(one.clone(), None)).unwrap(), n);
    }
    for _ in 0..2 {
        let expected: Vec<_> = (1..).zip(all.clone()).collect();
        assert_eq!(fixture.store.parked(0, 9).unwrap(), expected);
        assert_eq!(fixture.store.parked(0, 2).unwrap(), expected[..2]);
        assert_eq!(fixture.store.parked(2, 9).unwrap(), expected[2..]);
        assert_eq!(fixture.store.parked(u64::MAX, 9).unwrap(), []);
        assert_eq!(fixture.store.parked_count().unwrap(), 3);
        fixture.check();
        fixture.kill();
    }
}

/// The reader that it came from is done with it in the same commit.
#[test]
fn a_reader_goes_on_after_what_it_parked() {
    let mut fixture = Fixture::new();
    fixture.accept((0..5).map(|n| accept(&format!("m{n}"), &["a"])).collect());
    let commits = || fixture.store.stats().commit_us.count();
    let before = commits();
    let one = parked("post-event/audit", b"{}");
    wait(fixture.store.park(one, Some(("audit", Cursor(3))))).unwrap();
    assert_eq!(commits(), before + 1);
    fixture.kill();
    assert_eq!(fixture.store.cursor("audit").unwrap(), Some(Cursor(3)));
    assert_eq!(fixture.store.parked(0, 9).unwrap().len(), 1);
}
