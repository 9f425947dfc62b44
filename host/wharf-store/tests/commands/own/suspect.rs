//! A delivery that was out when the process ended, and that cannot be read afterwards.

use redb::{Database, ReadableTable, TableDefinition};

use crate::careful::{careful, check_left, free, names};
use crate::fixture::{Fixture, T0, accept};

/// It cannot even be handed out.
#[test]
fn a_suspect_that_cannot_be_read_keeps_nobody_waiting() {
    const CHUNK: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("chunk");
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("s", &["a"])]);
    fixture.accept(vec![accept("n", &["b"])]);
    fixture.kill();
    let claims = careful(&fixture, "a", T0);
    fixture.kill_and(|path| {
        let database = Database::open(path).unwrap();
        let tx = database.begin_write().unwrap();
        {
            let mut table = tx.open_table(CHUNK).unwrap();
            let mut value = table.first().unwrap().unwrap().1.value().to_vec();
            value[0] = 0xff;
            table.insert(1, value.as_slice()).unwrap();
        }
        tx.commit().unwrap();
    });
    drop(claims);
    assert_eq!(free(&fixture, "a", T0), [""; 0]);
    assert_eq!(fixture.store.stats().spread.blocked, 1);
    check_left(&fixture, "b", (1, 0, 1));
    assert_eq!(names(&fixture.claim("b", 9, T0)), ["n"]);
}
