use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Output, Stdio};

use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::Sink;

use crate::folder::{compile_bomb, digest, file, reason, wait_for_file, wait_until_passed_over};
use crate::support::{
    SOON, assert_has, channel, ended, guest, host, may_reach_this_machine, message, send, steps,
    wait_for,
};

/// Takes some twenty seconds and half a GiB to compile.
fn slow() -> Vec<u8> {
    compile_bomb(4000, 10_000)
}

/// Goal: a component that is made to be slow, or large, to compile takes the time and the memory that the configuration
/// gives and no more, of a process of its own; it is refused with the limit's name, and nothing else notices.
#[test]
fn the_limits_end_it_and_deliveries_go_on() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "convert = [\"shape\"]");
    let (good, bomb) = (guest("outcomes"), slow());
    assert!(bomb.len() < 100 << 10);
    let mut host = host(&config)
        .shipped("http")
        .plugin("shape", &*good)
        .start()
        .unwrap();
    // The good ones come from the cache now: on a busy machine they may take as long.
    let hasty = config + "[plugins]\ncompile-timeout = \"2s\"\n";
    host.write("wharf.toml", may_reach_this_machine(&hasty))
        .unwrap();
    host.restart().unwrap();
    host.put_plugin("shape", &*bomb).unwrap();
    let compiler = compiler(&host);
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "delivered");
    let refused = wait_until_passed_over(&host, "shape", "refused", &bomb, &good);
    let parts = ["took longer to compile than 2s", "`compile-timeout`"];
    assert_has(refused["reason"].as_str().unwrap(), &parts);
    assert_has(&reason(&host, "shape.wasm"), &parts);
    assert!(!is_running(compiler), "the compiler is still there");
    send(&host, &message("m2", "a"));
    wait_for(&host, "m2", "delivered");
    for id in ["m1", "m2"] {
        assert_eq!(steps(&host, id), ["queued accepted", "delivered sent"]);
    }

    let memory = "[plugins]\ncompile-memory-max = \"256MiB\"\n";
    host.write("small.toml", memory).unwrap();
    host.write("bomb.wasm", &bomb).unwrap();
    let check = ["plugin", "check", "bomb.wasm", "--config", "small.toml"];
    let (code, said, error) = ended(host.cli(check).unwrap());
    assert_eq!(code, 1);
    assert_has(&said, &[&digest(&bomb)]);
    let parts = [
        "took more memory to compile than 256 MiB",
        "`compile-memory-max`",
    ];
    assert_has(&error, &parts);
}

/// Goal: a compiler that somebody else ends is told as that and leaves the last good version; one whose host stops, or
/// is killed, ends too.
#[test]
fn a_compiler_that_is_killed_is_no_harm() {
    let config = channel("a", "http://127.0.0.1:9/", "convert = [\"shape\"]")
        + "[plugins]\ncompile-timeout = \"1h\"\n";
    let (good, bomb) = (guest("outcomes"), slow());
    let mut host = host(&config)
        .shipped("http")
        .plugin("shape", &*good)
        .start()
        .unwrap();
    host.put_plugin("shape", &*bomb).unwrap();
    kill(compiler(&host));
    let refused = wait_until_passed_over(&host, "shape", "refused", &bomb, &good);
    let parts = ["the compiler ended with signal: 9", "touch the file"];
    assert_has(refused["reason"].as_str().unwrap(), &parts);

    // Asked again, it tries again. Another file in its place ends that.
    host.hang_up().unwrap();
    let outdated = compiler(&host);
    host.put_plugin("shape", &*good).unwrap();
    wait_for_file(&host, "shape", |file| file["state"] == "loaded");
    wait_for_end(outdated);

    host.put_plugin("shape", &*bomb).unwrap();
    let last = compiler(&host);
    assert!(host.terminate().unwrap().success());
    wait_for_end(last);

    // Nobody is left to end it, so it does that itself.
    host.put_plugin("shape", &*good).unwrap();
    let short = "[plugins]\ncompile-timeout = \"1s\"\n";
    host.write("wharf.toml", short).unwrap();
    host.restart().unwrap();
    host.put_plugin("shape", &*bomb).unwrap();
    let orphan = compiler(&host);
    host.kill_9().unwrap();
    wait_for_end(orphan);
}

/// Goal: the process that compiles bounds itself, whoever starts it: processor time, memory, and no file.
#[test]
fn the_compiler_binds_itself() {
    let host = host("").build().unwrap();
    let compile = |memory_mib: u64, cpu_seconds: u64, wasm: &[u8], stdout: Stdio| {
        let mut command = host.command();
        let (memory, cpu) = (memory_mib << 20, cpu_seconds);
        command
            .args(["compile-plugin", "--memory-bytes", &memory.to_string()])
            .args(["--cpu-seconds", &cpu.to_string()])
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(wasm);
        child.wait_with_output().unwrap()
    };
    let (good, bomb) = (guest("outcomes"), slow());
    let whole = compile(1024, 60, &good, Stdio::piped());
    assert!(whole.status.success() && whole.stdout.len() > good.len());

    let signal = |output: &Output| output.status.signal();
    let (xcpu, xfsz, abort) = (24, 25, 6);
    let slow = compile(4096, 1, &bomb, Stdio::piped());
    assert_eq!(signal(&slow), Some(xcpu), "{slow:?}");
    let large = compile(256, 60, &bomb, Stdio::piped());
    assert_eq!(signal(&large), Some(abort), "{large:?}");
    let words = String::from_utf8_lossy(&large.stderr);
    assert_has(&words, &["memory allocation of"]);
    let file = std::fs::File::create(host.path("out")).unwrap();
    let written = compile(1024, 60, &good, file.into());
    assert_eq!(signal(&written), Some(xfsz), "{written:?}");
    assert_eq!(std::fs::metadata(host.path("out")).unwrap().len(), 0);
}

/// The process that the host compiles in, once there is one.
#[track_caller]
fn compiler(host: &Host) -> u32 {
    let parent = host.pid();
    let found = eventually(SOON, || {
        std::fs::read_dir("/proc").unwrap().find_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            (parent_of(pid)? == parent).then_some(pid)
        })
    });
    found.unwrap_or_else(|| panic!("no compiler: {:#}", file(host, "shape")))
}

/// The parent of a process. One that only waits to be asked how it ended is none any more.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and can hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

fn is_running(pid: u32) -> bool {
    parent_of(pid).is_some()
}

#[track_caller]
fn wait_for_end(pid: u32) {
    let ended = eventually(SOON, || (!is_running(pid)).then_some(()));
    assert!(ended.is_some(), "the compiler {pid} is still there");
}

fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
}
