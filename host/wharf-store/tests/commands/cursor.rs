//! Named cursors.

use wharf_core::Cursor;

use crate::fixture::{Fixture, accept, wait};

#[test]
fn a_cursor_is_kept_and_never_goes_back() {
    let mut fixture = Fixture::new();
    fixture.accept((0..9).map(|n| accept(&format!("m{n}"), &["a"])).collect());
    assert_eq!(fixture.store.cursor("audit").unwrap(), None);
    for (to, stands) in [(3, 3), (5, 5), (4, 5), (5, 5)] {
        assert_eq!(
            wait(fixture.store.set_cursor("audit", Cursor(to))).unwrap(),
            Cursor(stands)
        );
        assert_eq!(fixture.store.cursor("audit").unwrap(), Some(Cursor(stands)));
    }
    wait(fixture.store.set_cursor("other", Cursor(1))).unwrap();
    fixture.restart();
    assert_eq!(fixture.store.cursor("audit").unwrap(), Some(Cursor(5)));
    assert_eq!(fixture.store.cursor("other").unwrap(), Some(Cursor(1)));
}
