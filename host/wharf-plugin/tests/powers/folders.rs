use std::fs;
use std::os::unix::fs::symlink;

use wharf_plugin::{FaultKind, Folder, Grants, LoadProblem, Options};

use crate::support::{answer, binding, call, host, message, misbehave};

/// A granted folder is all that can be reached: not its parent, not what links in it lead to, not another plugin's;
/// and it can be changed only where that was granted.
#[tokio::test]
async fn a_folder_is_all_that_is_reached() {
    for is_writable in [false, true] {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("granted");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(outside.path().join("outside.txt"), "secret").unwrap();
        fs::write(inside.join("inside.txt"), "public").unwrap();
        symlink("../outside.txt", inside.join("link")).unwrap();
        symlink("..", inside.join("link-dir")).unwrap();
        let grants = Grants {
            folders: vec![Folder {
                path: inside.clone(),
                at: "/granted".to_owned(),
                is_writable,
            }],
            ..Grants::default()
        };
        let plugin = misbehave(Options::default(), grants).await;
        let converter = plugin.bind_converter(binding("a", &[])).unwrap();
        let expected = match is_writable {
            false => "did: read",
            true => "did: read, write",
        };
        assert_eq!(answer(&converter, "pry-folders").await, expected);
        assert_eq!(
            fs::read(outside.path().join("outside.txt")).unwrap(),
            b"secret"
        );
        assert!(!outside.path().join("moved.txt").exists());
        assert!(!outside.path().join("hard").exists());
        assert_eq!(inside.join("new.txt").exists(), is_writable);
    }
    let plugin = misbehave(Options::default(), Grants::default()).await;
    let converter = plugin.bind_converter(binding("a", &[])).unwrap();
    assert_eq!(answer(&converter, "pry-folders").await, "did: ");
}

/// A folder that is not there is found when the plugin is loaded; one that goes away later costs the calls that want
/// a fresh instance, and is named.
#[tokio::test]
async fn a_missing_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let grants = Grants {
        folders: vec![Folder {
            path: path.clone(),
            at: "/out".to_owned(),
            is_writable: true,
        }],
        ..Grants::default()
    };
    let (empty, plugins) = host(Options::default(), Grants::default(), &[]).await;
    let file = plugins.path().join("p.wasm");
    fs::copy(wharf_testkit::guest("misbehave"), &file).unwrap();
    let error = empty.load(&file, |_| grants.clone()).await.unwrap_err();
    assert!(matches!(&error.problem, LoadProblem::Folder { path: p, .. } if *p == path));

    fs::create_dir(&path).unwrap();
    empty.load(&file, |_| grants.clone()).await.unwrap();
    fs::remove_dir(&path).unwrap();
    let converter = empty.plugin("p").unwrap().bind_converter(binding("a", &[]));
    let fault = converter
        .unwrap()
        .convert(&call("none"), &message())
        .await
        .unwrap_err();
    assert_eq!(
        (fault.kind(), fault.guest_ran()),
        (FaultKind::Unavailable, false)
    );
    assert!(
        fault.to_string().contains(&path.display().to_string()),
        "{fault}"
    );
}
