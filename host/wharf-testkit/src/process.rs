//! The real `wharf` binary as a test sees it: a process with a folder of its own that can be asked,
//! signalled, killed and started again.
//!
//! ```no_run
//! # use wharf_testkit::process::HostBuilder;
//! let mut host = HostBuilder::new("[api]\nlisten = \"127.0.0.1:0\"\n").shipped("http").start()?;
//! let answer = host.http("POST", "/v1/messages", &[], b"{}")?;
//! host.kill_9()?;
//! host.restart()?;
//! # anyhow::Ok(())
//! ```

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// What the server writes to stderr once it listens, before its address.
const LISTENING: &str = "listening on http://";

/// The command that serves, in a folder with a `wharf.toml`.
const SERVE: &[&str] = &["serve"];

/// How long a start may take: plugins are compiled at the first one, on a machine that may be busy.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How long a stop may take.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// How long an HTTP exchange with the server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How much of the log is shown with an error.
const LOG_LINES_SHOWN: usize = 60;

/// What the process is started with.
pub struct HostBuilder {
    config: String,
    files: Vec<(PathBuf, Vec<u8>)>,
    env: Vec<(String, String)>,
    binary: Option<PathBuf>,
}

impl HostBuilder {
    /// A host with this `wharf.toml`, whose `[api]` should `listen` on `127.0.0.1:0`.
    pub fn new(config: impl Into<String>) -> Self {
        Self {
            config: config.into(),
            files: vec![],
            env: vec![],
            binary: None,
        }
    }

    /// Puts a component into `plugins/`, as `name.wasm`.
    pub fn plugin(self, name: &str, component: impl Into<Vec<u8>>) -> Self {
        self.file(plugin_path(name), component)
    }

    /// Puts a shipped plugin into `plugins/`. Panics when it was not built.
    pub fn shipped(self, name: &str) -> Self {
        let component = shipped(name);
        self.plugin(name, component)
    }

    /// Puts a file into the folder; the path is relative to it.
    pub fn file(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), bytes.into()));
        self
    }

    /// Sets a variable for the server and the command line.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs this binary instead of the one that was built with the test.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Writes the folder without starting anything: for a start that is expected to fail, see
    /// [`Host::cli`].
    pub fn build(self) -> anyhow::Result<Host> {
        let host = Host {
            binary: self.binary.unwrap_or_else(binary),
            folder: TempDir::with_prefix("wharf-")?,
            env: self.env,
            running: None,
        };
        fs::create_dir(host.path("plugins"))?;
        fs::write(host.path("wharf.toml"), self.config)?;
        for (path, bytes) in self.files {
            host.write(path, bytes)?;
        }
        Ok(host)
    }

    /// Writes the folder, starts the server, and waits until it is ready.
    pub fn start(self) -> anyhow::Result<Host> {
        let mut host = self.build()?;
        host.restart()?;
        Ok(host)
    }
}

/// A folder and the server that runs, or ran, in it. Kills the server when dropped; where the test
/// failed, shows the end of its log first.
pub struct Host {
    binary: PathBuf,
    folder: TempDir,
    env: Vec<(String, String)>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    address: SocketAddr,
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; an error shows it.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("no JSON in {}: {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Host {
    /// The folder: configuration, plugins, data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder().join(relative)
    }

    /// Where the server listens. Another port after each start. Panics while it does not run.
    pub fn address(&self) -> SocketAddr {
        self.running
            .as_ref()
            .expect("the server is stopped")
            .address
    }

    /// The server's URL. Panics while it does not run.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The server's process id. Panics while it does not run.
    pub fn pid(&self) -> u32 {
        self.running
            .as_ref()
            .expect("the server is stopped")
            .child
            .id()
    }

    /// Everything that the server wrote to stderr, over all starts.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map_or_else(
            |_| String::new(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Writes a file in the folder, at once as far as the server can see.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.path(path);
        let folder = path.parent().context("a path with a file name")?;
        fs::create_dir_all(folder)?;
        // Beside the folder that the server may watch, on the same file system.
        let mut file = tempfile::NamedTempFile::new_in(self.folder())?;
        file.write_all(bytes.as_ref())?;
        file.persist(path)?;
        Ok(())
    }

    /// Puts a component into `plugins/` while the server runs or not, as `name.wasm`.
    pub fn put_plugin(&self, name: &str, component: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.write(plugin_path(name), component)
    }

    /// Removes a component from `plugins/`.
    pub fn remove_plugin(&self, name: &str) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.path(plugin_path(name)))?)
    }

    /// Makes one HTTP request to the server. Any status is an answer.
    pub fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        exchange(self.address(), method, path, headers, body)
            .with_context(|| format!("failed to ask the server: {method} {path}"))
    }

    /// Runs the command line against the server, in the folder. While the server is stopped,
    /// without its URL.
    pub fn cli<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Output> {
        self.cli_with_input(args, b"")
    }

    /// The same, with this on standard input.
    pub fn cli_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> anyhow::Result<Output> {
        let mut command = self.command();
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("failed to run wharf")?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        std::thread::scope(|scope| {
            // From another thread: a child that writes before it has read all would wait for us.
            // One that does not read at all closes the pipe, which is its right.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().context("failed to wait for wharf")
        })
    }

    /// Sends SIGKILL, as a power cut for the process, and waits until it is gone.
    pub fn kill_9(&mut self) -> anyhow::Result<()> {
        let mut running = self.running.take().context("the server is stopped")?;
        running.child.kill()?;
        running.child.wait()?;
        Ok(())
    }

    /// Starts the server and kills it after so long, however far it has come.
    pub fn kill_while_starting(&mut self, after: Duration) -> anyhow::Result<()> {
        ensure!(self.running.is_none(), "the server runs");
        let mut child = self.launch()?;
        std::thread::sleep(after);
        let ended = child.try_wait()?;
        child.kill()?;
        child.wait()?;
        match ended {
            Some(status) => bail!(
                "the server ended with {status} before it was killed; {}",
                self.log_end()
            ),
            None => Ok(()),
        }
    }

    /// Leaves the folder where it is when this is dropped, for whoever wants to see what is in it.
    pub fn keep_folder(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// Sends SIGTERM and waits for the clean end.
    pub fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait()
    }

    /// Waits until the server has ended by itself.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let running = self.running.as_mut().context("the server is stopped")?;
        let ended = eventually(STOPPED_WITHIN, || running.child.try_wait().transpose());
        let Some(status) = ended else {
            bail!(
                "the server did not end within {STOPPED_WITHIN:?}; {}",
                self.log_end()
            )
        };
        self.running = None;
        Ok(status?)
    }

    /// Sends SIGHUP: reload the configuration.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        self.signal(Signal::HUP)
    }

    /// Starts the server in the same folder, after a SIGTERM where it still runs, and waits until
    /// it is ready.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        if self.running.is_some() {
            let status = self.terminate()?;
            ensure!(
                status.success(),
                "the server ended with {status}; {}",
                self.log_end()
            );
        }
        let end = Instant::now() + READY_WITHIN;
        self.running = Some(self.spawn(end)?);
        let left = end.saturating_duration_since(Instant::now());
        match eventually(left, || self.is_ready().transpose()) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error),
            None => bail!(
                "the server is not ready after {READY_WITHIN:?}; {}",
                self.log_end()
            ),
        }
    }

    /// None: not yet. An error: it has ended.
    fn is_ready(&mut self) -> anyhow::Result<Option<()>> {
        let running = self.running.as_mut().context("the server is stopped")?;
        if let Some(status) = running.child.try_wait()? {
            bail!(
                "the server ended with {status} before it was ready; {}",
                self.log_end()
            );
        }
        let answer = self.http("GET", "/readyz", &[], b"");
        Ok(answer
            .is_ok_and(|answer| answer.status == 200)
            .then_some(()))
    }

    /// Its stderr goes straight to the log file: what the server writes costs this process nothing.
    fn launch(&self) -> anyhow::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        self.command()
            .args(SERVE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", self.binary.display()))
    }

    fn spawn(&self, end: Instant) -> anyhow::Result<Running> {
        let log_start = fs::metadata(self.log_path()).map_or(0, |log| log.len());
        let log_start = usize::try_from(log_start)?;
        let mut child = self.launch()?;
        let left = end.saturating_duration_since(Instant::now());
        let listens = eventually(left, || {
            let log = fs::read(self.log_path()).unwrap_or_default();
            match listening(&String::from_utf8_lossy(
                log.get(log_start..).unwrap_or_default(),
            )) {
                Some(address) => Some(Some(address)),
                // What ended between the two looks is not ready either.
                None => (child.try_wait().is_ok_and(|ended| ended.is_some())).then_some(None),
            }
        });
        match listens.flatten() {
            Some(address) => Ok(Running { child, address }),
            None => {
                // Where it has ended already, this changes nothing and its own status stays.
                child.kill()?;
                let status = child.wait()?;
                bail!("the server did not listen ({status}); {}", self.log_end())
            }
        }
    }

    /// The binary, in the folder, without what the tester's own environment says about wharf, and
    /// with the server's URL while that runs: for what [`Host::cli`] does not do.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WHARF_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.folder()).env("NO_COLOR", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(running) = &self.running {
            command.env("WHARF_URL", format!("http://{}", running.address));
        }
        command
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let running = self.running.as_ref().context("the server is stopped")?;
        rustix::process::kill_process(Pid::from_child(&running.child), signal)
            .context("failed to signal the server")
    }

    fn log_path(&self) -> PathBuf {
        self.path("stderr.log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        format!("its log ends:\n{}", shown.join("\n"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the server in {}: {}",
                self.folder().display(),
                self.log_end()
            );
        }
        if self.running.is_some() {
            // It may be gone already.
            let _ = self.kill_9();
        }
    }
}

/// The address that a log tells. A line counts once it is whole: a half-written port is another port.
fn listening(log: &str) -> Option<SocketAddr> {
    let in_address = |c: char| c.is_ascii_hexdigit() || ".:[]".contains(c);
    let lines = log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .filter_map(|line| Some(line.split_once(LISTENING)?.1))
        .find_map(|rest| rest.split(|c| !in_address(c)).next()?.parse().ok())
}

/// Makes one HTTP request, from any thread. Any status is an answer.
pub fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<Answer> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(ANSWER_WITHIN))
        .build()
        .into();
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = match body {
        [] if method != "POST" => agent.run(request.body(())?)?,
        body => agent.run(request.body(body)?)?,
    };
    let body = response
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec()?;
    let (head, _) = response.into_parts();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}

/// The binary under test: the one of the same profile as the test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the running test");
    // target/<profile>/xtask or target/<profile>/deps/<test>.
    let beside = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("wharf"));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "there is no wharf binary beside {}: run `cargo build` first",
                test.display()
            )
        })
}

/// A shipped component, as the build of `wharf` made it.
pub fn shipped(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = format!("{}.wasm", name.replace('-', "_"));
    let path = root.join("plugins/target/wasm32-wasip2/release").join(file);
    fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "failed to read {}: {error}: run `cargo build` first",
            path.display()
        )
    })
}

fn plugin_path(name: &str) -> PathBuf {
    Path::new("plugins").join(format!("{name}.wasm"))
}

/// Asks again and again until there is an answer, or the deadline has passed. For states that
/// nobody announces.
pub fn eventually<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSE: Duration = Duration::from_millis(10);
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::park_timeout(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{self, Sink};

    #[test]
    fn the_address_is_found_in_any_log_format() {
        let address = Some("127.0.0.1:8470".parse().unwrap());
        for line in [
            "listening on http://127.0.0.1:8470",
            "2026-01-01T00:00:00Z INFO wharf: listening on http://127.0.0.1:8470/ pid=7",
            r#"{"message":"listening on http://127.0.0.1:8470","level":"INFO"}"#,
            "\u{1b}[32mINFO\u{1b}[0m listening on http://127.0.0.1:8470\u{1b}[0m",
        ] {
            assert_eq!(listening(&format!("a: 1\n{line}\nb")), address, "{line}");
            assert_eq!(listening(line), None, "half a line: {line}");
        }
        assert_eq!(
            listening("listening on http://[::1]:80 now\n"),
            Some("[::1]:80".parse().unwrap())
        );
        assert_eq!(listening("listening soon\n"), None);
    }

    /// Any status, header and body comes through, and goes out as given.
    #[test]
    fn an_exchange_is_taken_as_it_is() {
        let sink = Sink::start().unwrap();
        sink.otherwise(
            sink::Answer::status(409)
                .header("x-a", "b")
                .body(r#"{"code":"no"}"#),
        );
        for (method, body) in [
            ("GET", ""),
            ("POST", "hello"),
            ("DELETE", ""),
            ("PATCH", "x"),
        ] {
            let headers = [("x-b", "c")];
            let answer =
                exchange(sink.address(), method, "/p?q", &headers, body.as_bytes()).unwrap();
            assert_eq!((answer.status, answer.header("x-a")), (409, Some("b")));
            assert_eq!(answer.json().unwrap()["code"], "no");
            let last = sink.requests().pop().unwrap();
            assert_eq!((last.method.as_str(), last.path.as_str()), (method, "/p?q"));
            assert_eq!(
                (last.header("x-b"), &last.body[..]),
                (Some("c"), body.as_bytes())
            );
        }
    }

    /// A shell stands in for the binary: the subcommands are scripts in the folder. `serve` says
    /// where it listens and ends cleanly on SIGTERM; `send` shows what it was given.
    fn stand_in(sink: &Sink, first: &str) -> HostBuilder {
        let serve = format!(
            "{first}\ntrap 'echo bye >&2; exit 0' TERM\necho listening on http://{} >&2\n\
             while :; do sleep 0.01; done\n",
            sink.address()
        );
        HostBuilder::new("# empty")
            .binary("/bin/sh")
            .file("serve", serve)
            .file("send", "cat; echo $@ $WHARF_URL $X; exit 3\n")
            .env("X", "y")
    }

    #[test]
    fn a_server_starts_stops_dies_and_starts_again() {
        let sink = Sink::start().unwrap();
        // Not ready at first.
        sink.script("/readyz", [503, 503, 200].map(sink::Answer::status));
        let mut host = stand_in(&sink, "").plugin("a", b"x").start().unwrap();
        assert_eq!(sink.count(), 3);
        assert_eq!(fs::read(host.path("plugins/a.wasm")).unwrap(), b"x");
        assert_eq!(host.url(), sink.url(""));

        let output = host.cli_with_input(["send", "--all"], b"input\n").unwrap();
        assert_eq!(output.status.code(), Some(3));
        let expected = format!("input\n--all {} y\n", host.url());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);

        let first = host.pid();
        host.kill_9().unwrap();
        assert!(host.kill_9().is_err());
        host.restart().unwrap();
        assert_ne!(host.pid(), first);
        assert!(!host.log().contains("bye"));
        host.restart().unwrap();
        assert!(host.kill_while_starting(Duration::ZERO).is_err());
        assert!(host.terminate().unwrap().success());
        assert_eq!(host.log().matches("bye").count(), 2);
        assert_eq!(host.log().matches(LISTENING).count(), 3);
    }

    #[test]
    fn a_server_is_killed_while_it_starts() {
        let sink = Sink::start().unwrap();
        let mut host = stand_in(&sink, "exec sleep 60").build().unwrap();
        host.kill_while_starting(Duration::ZERO).unwrap();
        assert!(!host.log().contains(LISTENING));

        let mut host = stand_in(&sink, "exit 2").build().unwrap();
        let error = eventually(Duration::from_secs(10), || {
            host.kill_while_starting(Duration::from_millis(50)).err()
        });
        assert!(error.unwrap().to_string().contains("exit status: 2"));
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let sink = Sink::start().unwrap();
        let error = stand_in(&sink, "echo bad config >&2; exit 2")
            .start()
            .err()
            .unwrap();
        let error = error.to_string();
        assert!(
            error.contains("exit status: 2") && error.contains("bad config"),
            "{error}"
        );
    }

    #[test]
    fn eventually_asks_until_the_deadline() {
        let mut asked = 0;
        let answer = eventually(Duration::from_secs(10), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(answer, Some(3));
        assert_eq!(eventually(Duration::from_millis(1), || None::<()>), None);
    }
}
