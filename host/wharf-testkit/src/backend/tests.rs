//! What the disk itself promises: a simulation is worth what its disk is worth.

use std::io::ErrorKind;

use super::{Fault, PowerCut};

#[test]
fn what_was_synced_survives_and_the_rest_may_not() {
    let mut kept = 0;
    for seed in 0..100 {
        let disk = PowerCut::new(vec![0; 2048], seed);
        let plug = disk.plug().tables;
        plug.write(0, &[1; 1024]).unwrap();
        plug.sync_data().unwrap();
        disk.arm(2);
        plug.write(512, &[2; 1024]).unwrap();
        assert!(plug.sync_data().is_err());
        assert!(disk.is_cut() && plug.len().is_err());
        disk.reboot();
        assert!(
            plug.len().is_err(),
            "a handle from before the cut stays dead"
        );
        let image = disk.image();
        assert_eq!(image[..512], [1; 512]);
        assert!(
            image[512..1536]
                .chunks(512)
                .all(|s| [[0; 512], [1; 512], [2; 512]].contains(s.try_into().unwrap()))
        );
        kept += usize::from(image[512] == 2);
    }
    assert!((20..80).contains(&kept), "{kept}");
}

/// Goal: what a failed sync was to write is never written by a later one, is seen by reads until the process ends, and
/// not after that.
#[test]
fn what_a_failed_sync_loses_no_later_sync_brings_back() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = PowerCut::new(vec![0; 1024], seed);
        let plug = disk.plug().tables;
        disk.arm_fault(Fault::Sync, 1);
        plug.write(0, &[1; 512]).unwrap();
        assert!(plug.sync_data().is_err());
        assert_eq!(disk.failed(), Some(Fault::Sync));
        assert_eq!(disk.image()[0], 1);
        plug.write(512, &[2; 512]).unwrap();
        plug.sync_data().unwrap();
        disk.restart();
        let image = disk.image();
        assert_eq!((disk.failed(), image[512]), (None, 2));
        lost += usize::from(image[0] == 0);
        disk.reboot();
        assert_eq!(disk.image(), image);
    }
    assert!((20..80).contains(&lost), "{lost}");
}

#[test]
fn a_full_disk_stays_full_until_there_is_room() {
    let disk = PowerCut::new(vec![0; 512], 1);
    disk.arm_fault(Fault::Full, 2);
    disk.plug().tables.set_len(1024).unwrap();
    for _ in 0..3 {
        let refused = disk.plug().tables.set_len(2048).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        assert_eq!(disk.failed(), Some(Fault::Full));
        disk.plug().tables.set_len(512).unwrap();
        disk.plug().tables.sync_data().unwrap();
        disk.restart();
    }
    disk.make_room();
    disk.plug().tables.set_len(2048).unwrap();
    assert_eq!(disk.failed(), None);
}

/// Goal: a fault comes at the call that it was armed for, once.
#[test]
fn a_fault_comes_once_and_with_its_own_kind_of_call() {
    for (fault, others) in [(Fault::Read, Fault::Write), (Fault::Write, Fault::Read)] {
        let disk = PowerCut::new(vec![0; 512], 1);
        let plug = disk.plug().tables;
        let call = |of: Fault| match of {
            Fault::Read => plug.read(0, &mut [0; 8]),
            _ => plug.write(0, &[1; 8]),
        };
        disk.arm_fault(fault, 2);
        (0..5).for_each(|_| call(others).unwrap());
        call(fault).unwrap();
        assert!(call(fault).is_err());
        assert_eq!(disk.failed(), Some(fault));
        call(fault).unwrap();
    }
}

#[test]
fn what_was_written_survives_the_process() {
    let disk = PowerCut::new(vec![0; 512], 1);
    disk.plug().tables.write(0, &[1; 512]).unwrap();
    let plug = disk.plug().tables;
    disk.restart();
    assert!(plug.len().is_err(), "a handle of another process is dead");
    assert_eq!(disk.image(), [1; 512]);
}
