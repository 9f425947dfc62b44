//! The parent's half of compiling: starts the child, feeds it, and tells how it ended.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::worker::{CODE, CPU_FLAG, MEMORY_FLAG, REFUSED};
use crate::limits;
use crate::problem::LoadProblem;

/// A program that compiles what it reads, by [`compile_stdin`](super::compile_stdin), and what it may use.
#[derive(Clone, Debug)]
pub struct Child {
    /// The program: as a rule, this one.
    pub program: PathBuf,
    /// What makes it a compiler: the subcommand. The limits follow, as `--memory-bytes N --cpu-seconds N`.
    pub args: Vec<String>,
    /// The time for one component.
    pub timeout: Duration,
    /// The address space of the process.
    pub memory_max_bytes: u64,
    /// The machine code of one component.
    pub code_max_bytes: u64,
}

impl Child {
    /// A child with the default limits.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = String>) -> Child {
        Child {
            program: program.into(),
            args: args.into_iter().collect(),
            timeout: limits::COMPILE_TIMEOUT,
            memory_max_bytes: limits::COMPILE_MEMORY_BYTES_MAX,
            code_max_bytes: limits::COMPILED_BYTES_MAX,
        }
    }

    /// Compiles a component. Dropping the future kills the process.
    pub(super) async fn compile(&self, wasm: Bytes) -> Result<Vec<u8>, LoadProblem> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .arg(MEMORY_FLAG)
            .arg(self.memory_max_bytes.to_string())
            .arg(CPU_FLAG)
            .arg(self.cpu_seconds_max().to_string())
            // Nothing that the parent was told is passed on, secrets least of all.
            .env_clear()
            .env("RAYON_NUM_THREADS", threads_count().to_string())
            .current_dir(std::path::MAIN_SEPARATOR_STR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        // Not of the terminal's group: Ctrl-C is the parent's to deal with.
        command.arg0("wharf-compile").process_group(0);
        let mut process = command.spawn().map_err(LoadProblem::CompilerStart)?;

        let (stdin, stdout, stderr) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let feed = async {
            // One that ends before it has read all has its reasons, which its end tells.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(&wasm).await;
            }
        };
        let work = async {
            let ((), answer, words) = tokio::join!(
                feed,
                read(stdout, self.code_max_bytes + 1),
                read(stderr, limits::COMPILER_WORDS_BYTES_MAX),
            );
            if answer.len() as u64 > self.code_max_bytes {
                return Err(LoadProblem::CompileOutput {
                    limit_bytes: self.code_max_bytes,
                });
            }
            let status = process.wait().await.map_err(LoadProblem::CompilerStart)?;
            self.judge(status, answer, &String::from_utf8_lossy(&words))
        };
        let answer = timeout(self.timeout, work).await;
        // It has ended by now, or is to end: here, where it is waited for.
        let _ = process.kill().await;
        answer.unwrap_or_else(|_| Err(self.overdue()))
    }

    /// How it ended, made the caller's problem.
    fn judge(
        &self,
        status: ExitStatus,
        mut answer: Vec<u8>,
        words: &str,
    ) -> Result<Vec<u8>, LoadProblem> {
        if status.success() && !answer.is_empty() {
            let content = answer.split_off(1);
            match answer[0] {
                CODE => return Ok(content),
                REFUSED => {
                    return Err(LoadProblem::Compile {
                        reason: String::from_utf8_lossy(&content).into_owned(),
                    });
                }
                _ => {}
            }
        }
        if ran_out_of_processor_time(status) {
            return Err(self.overdue());
        }
        // Rust's own words for an allocation that failed; the process ends by SIGABRT then, as it does after others.
        if words.contains("memory allocation of") {
            return Err(LoadProblem::CompileMemory {
                limit_bytes: self.memory_max_bytes,
            });
        }
        let mut how = status.to_string();
        if let Some(line) = words.lines().find(|line| !line.trim().is_empty()) {
            how = format!("{how}: {}", line.trim());
        }
        Err(LoadProblem::CompilerEnded { how })
    }

    fn overdue(&self) -> LoadProblem {
        LoadProblem::CompileTime {
            limit: self.timeout,
        }
    }

    /// All threads busy for all of the time. The clock is faster, but for a child whose parent is gone: this ends it.
    fn cpu_seconds_max(&self) -> u64 {
        self.timeout.as_secs().saturating_add(1) * threads_count()
    }
}

fn threads_count() -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.min(limits::COMPILE_THREADS_MAX) as u64
}

/// What a pipe gives until it ends, at most so many bytes. One that breaks ends there.
async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>, bytes_max: u64) -> Vec<u8> {
    let mut content = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(bytes_max).read_to_end(&mut content).await;
    }
    content
}

#[cfg(unix)]
fn ran_out_of_processor_time(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(rustix::process::Signal::XCPU.as_raw())
}

#[cfg(not(unix))]
fn ran_out_of_processor_time(_status: ExitStatus) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// What becomes of a component if the compiler is this shell script.
    async fn compile(script: &str, timeout: Duration) -> Result<Vec<u8>, String> {
        let mut child = Child::new("/bin/sh", ["-c".to_owned(), script.to_owned()]);
        child.timeout = timeout;
        child.memory_max_bytes = 300 << 20;
        child.code_max_bytes = 1 << 20;
        let wasm = Bytes::from(vec![b'w'; 1 << 20]);
        child.compile(wasm).await.map_err(|problem| {
            let cause = std::error::Error::source(&problem);
            format!(
                "{problem}{}",
                cause.map_or(String::new(), |c| format!(": {c}"))
            )
        })
    }

    /// Every way in which the process can end is its own problem, and its answer is its first byte's.
    #[tokio::test]
    async fn each_end_of_the_compiler_is_told_apart() {
        let long = Duration::from_secs(60);
        let code = compile(r"wc -c | tr -d '\n ' | (printf '\000'; cat)", long).await;
        assert_eq!(code, Ok(b"1048576".to_vec()));
        for (script, words) in [
            (
                r"printf '\001no such type'",
                "cannot be compiled: no such type",
            ),
            // It need not have read anything.
            (
                "exec <&-; kill -XCPU $$",
                "took longer to compile than 60s; build it smaller",
            ),
            (
                "echo memory allocation of 7 bytes failed >&2; kill -ABRT $$",
                "took more memory to compile than 300 MiB; build it smaller",
            ),
            (
                "kill -KILL $$",
                "the compiler ended with signal: 9 (SIGKILL)",
            ),
            (
                "kill -SEGV $$",
                "the compiler ended with signal: 11 (SIGSEGV)",
            ),
            (
                "echo; echo thread main panicked >&2; exit 101",
                "the compiler ended with exit status: 101: thread main panicked; touch the file",
            ),
            ("exit 0", "the compiler ended with exit status: 0"),
            (r"printf '\007'", "the compiler ended with exit status: 0"),
            ("cat /dev/zero", "compiles to more than 1 MiB"),
        ] {
            let problem = compile(script, long).await.unwrap_err();
            assert!(problem.contains(words), "{script}: {problem}");
        }
        let nobody = Child::new("/no/such/compiler", []);
        let problem = nobody.compile(Bytes::new()).await.unwrap_err();
        assert!(matches!(problem, LoadProblem::CompilerStart(_)));
    }

    /// The clock ends what hangs, whatever it ignores; nothing of it is left.
    #[tokio::test]
    async fn a_compiler_that_hangs_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("pid");
        let script = format!(
            "trap '' TERM INT HUP XCPU; echo $$ > {}; while :; do :; done",
            pid_file.display()
        );
        let problem = compile(&script, Duration::from_secs(2)).await;
        let problem = problem.unwrap_err();
        assert!(problem.contains("than 2s"), "{problem}");
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let is_there = rustix::process::test_kill_process(pid);
        assert_eq!(is_there, Err(rustix::io::Errno::SRCH));
    }

    /// Nothing of the environment reaches it but what it needs, and no folder of ours.
    #[tokio::test]
    async fn the_compiler_inherits_nothing() {
        let script = r"printf '\000'; echo $(env | cut -d= -f1 | sort) $(pwd) $1 $3";
        let answer = compile(script, Duration::from_secs(60)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let kept: Vec<_> = answer.split_whitespace().collect();
        // The shell's own beside ours. Its arguments begin at $0.
        let known = ["OLDPWD", "PWD", "RAYON_NUM_THREADS", "SHLVL", "_", "/"];
        let (names, limits) = kept.split_at(kept.len() - 2);
        assert!(names.contains(&"RAYON_NUM_THREADS"), "{answer}");
        assert!(names.iter().all(|name| known.contains(name)), "{answer}");
        assert_eq!(limits[0], (300u64 << 20).to_string());
        assert_eq!(limits[1].parse::<u64>().unwrap() % 61, 0, "{answer}");
    }
}
