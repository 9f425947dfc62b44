//! Tries the doors.

use std::fs;

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::PathFlags;

/// Tries every door of the WASI baseline.
pub(crate) fn doors() -> String {
    let mut open = Vec::new();
    if std::env::vars().next().is_some() {
        open.push("environment");
    }
    if std::env::args().next().is_some() {
        open.push("arguments");
    }
    if fs::read_dir("/").is_ok() || fs::write("pry", "x").is_ok() {
        open.push("files");
    }
    if std::net::TcpListener::bind("127.0.0.1:0").is_ok()
        || std::net::TcpStream::connect("127.0.0.1:9").is_ok()
    {
        open.push("tcp");
    }
    if std::net::UdpSocket::bind("127.0.0.1:0").is_ok() {
        open.push("udp");
    }
    if std::io::stdin().lines().next().is_some() {
        open.push("stdin");
    }
    format!("open: {}", open.join(", "))
}

/// What can be done with the folder at `/granted`, and from there. Outside of it lie `outside.txt` and, in it, the
/// links `link` to that file and `link-dir` to its folder.
pub(crate) fn folders() -> String {
    let mut done = Vec::new();
    let mut tried = |what: &str, worked: bool| {
        if worked {
            done.push(what.to_owned());
        }
    };
    tried("read", fs::read("/granted/inside.txt").is_ok());
    tried("write", fs::write("/granted/new.txt", "new").is_ok());
    for path in [
        "/granted/../outside.txt",
        "/granted/sub/../../outside.txt",
        "/granted/link",
        "/granted/link-dir/outside.txt",
        "/outside.txt",
        "outside.txt",
        "../outside.txt",
        "/etc/passwd",
        "/granted//etc/passwd",
    ] {
        tried(&format!("read {path}"), fs::read(path).is_ok());
        tried(&format!("write {path}"), fs::write(path, "changed").is_ok());
        tried(
            &format!("remove {path}"),
            !path.ends_with("link") && fs::remove_file(path).is_ok(),
        );
    }
    tried("list /granted/..", fs::read_dir("/granted/..").is_ok());
    tried("list /", fs::read_dir("/").is_ok());
    tried(
        "rename",
        fs::rename("/granted/inside.txt", "/granted/../moved.txt").is_ok(),
    );
    // Past the library, which has rules of its own.
    for (folder, at) in get_directories() {
        tried(&format!("find {at}"), at != "/granted");
        let no_follow = PathFlags::empty();
        tried(
            "make a link out",
            folder.symlink_at("../outside.txt", "made").is_ok()
                && fs::read("/granted/made").is_ok(),
        );
        tried(
            "link out",
            folder
                .link_at(no_follow, "../outside.txt", &folder, "hard")
                .is_ok(),
        );
        tried(
            "link from out",
            folder
                .link_at(no_follow, "inside.txt", &folder, "../hard")
                .is_ok(),
        );
        tried(
            "stat out",
            folder.stat_at(PathFlags::SYMLINK_FOLLOW, "link").is_ok(),
        );
    }
    format!("did: {}", done.join(", "))
}
