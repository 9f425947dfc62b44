//! Every limit of this crate, each with its reason. What an operator can change is a default here and a field
//! of [`Options`](crate::Options) or [`Grants`](crate::Grants).

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// How often the epoch rises, and so how long a guest can hold a worker thread before it yields. What waits behind a
/// guest that spins waits as long; 500 wake-ups a second cost a quarter of a percent of a processor.
pub const EPOCH_TICK: Duration = Duration::from_millis(2);

/// Instances alive at once over all plugins, idle ones included. At 2 to 20 MiB touched by a scripting-language
/// guest this bounds what idle pools keep resident; a Rust guest needs far less.
pub const INSTANCES_MAX: usize = 128;

/// Pool slots beside the budget: each plugin may always run one instance, loading makes one outside of the
/// budget, and an instance that was dropped frees its slot a moment after the budget has counted it.
pub const INSTANCES_HEADROOM: usize = 72;

/// Concurrent calls of one plugin. Guests hold an instance only while they compute, so this is about
/// processors, not about exchanges in flight.
pub const PLUGIN_INSTANCES_MAX: usize = 16;

/// Calls after which an instance retires. Python guests leak about one payload a call; at a thousand calls the
/// cost of a fresh instance is below 1 µs a call even for them.
pub const CALLS_PER_INSTANCE_MAX: u64 = 1000;

/// One guest call, unless the plugin's grant says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that a grant can give. A call holds an instance and one of the host's places for as long.
pub const CALL_TIMEOUT_CEILING: Duration = Duration::from_secs(3600);

/// Linear memory of one instance, unless the plugin's grant says otherwise. Python and JavaScript guests start at
/// 20 to 40 MiB, and a converter holds a message three times.
pub const MEMORY_BYTES_MAX: u64 = 128 * MIB;

/// The most that a grant can give. A pool slot reserves address space, not memory, so this only stops mistakes.
pub const MEMORY_BYTES_CEILING: u64 = 1024 * MIB;

/// The share of its memory limit, in percent, above which an instance retires after a clean call: linear memory
/// never shrinks, and an instance near its limit would fail the next large message.
pub const MEMORY_SOFT_PERCENT: u64 = 50;

/// What a guest may hand to the host in one call, strings and lists counted, unless the plugin's grant says otherwise.
/// Messages are far smaller; this stops a guest from making the host allocate.
pub const OUTPUT_BYTES_MAX: u64 = 32 * MIB;

/// State that a request-channel may keep over an exchange. It is copied in and out of the guest each time.
pub const STATE_BYTES_MAX: usize = 64 << 10;

/// HTTP calls of its own that a plugin may have in flight, over all of its instances, unless its grant says otherwise:
/// two for each of the instances that it has by default.
pub const HTTP_CALLS_MAX: usize = 32;

/// Body of an answer that a plugin's own HTTP call may get: as large as the largest message. It is held whole.
pub const HTTP_ANSWER_BYTES_MAX: usize = 16 << 20;

/// Failed HTTP calls of one guest call that are told of. The first ones say why the others failed.
pub const HTTP_FAILURES_KEPT: usize = 4;

/// A `.wasm` file. The largest that a stock toolchain makes is Python's, at 18 MB.
pub const PLUGIN_BYTES_MAX: u64 = 64 * MIB;

/// Entries of one table. A .NET guest has over ten thousand; the pool reserves address space for these only.
pub const TABLE_ELEMENTS_MAX: usize = 50_000;

/// Resources (streams, pollables) that one instance can hold open. Hooks need a handful.
pub const RESOURCES_MAX: usize = 512;

/// One `wasi:random` request. Keys and nonces are below a hundred bytes.
pub const RANDOM_BYTES_MAX: u64 = 64 * KIB;

/// One line of a plugin's log, its fields included. The rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 2 * KIB as usize;

/// Lines that every call may log, whatever the rate: a few for a hook that tells what it does.
pub const LOG_LINES_PER_CALL: usize = 16;

/// Lines more for every event that a post-event hook is handed: an audit hook must not lose any.
pub const LOG_LINES_PER_EVENT: usize = 2;

/// Lines a second beyond those that one binding may log in the long run, unless the plugin's grant says otherwise:
/// 2 MiB a second at worst. What is above is counted and dropped.
pub const LOG_LINES_PER_SECOND: u32 = 1000;

/// Seconds whose lines may come in one burst.
pub const LOG_BURST_SECONDS: u32 = 2;

/// What is kept of the standard error of a call, to stand beside a trap: the guest's own panic message.
pub const STDERR_TAIL_BYTES_MAX: usize = 2 * KIB as usize;

/// Frames of a guest's backtrace in a fault. The innermost ones name the culprit.
pub const BACKTRACE_FRAMES_MAX: usize = 12;

/// How long the trial at load may take: the first instantiation of an 18 MB component is 0.5 s on a busy machine.
pub const TRIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Files that are loaded at the same time, compiling included. Two keep one slow file from holding up all others, and
/// bound what reading and compiling take.
pub const LOADS_MAX: usize = 2;

/// The time for compiling one component. The largest that a stock toolchain makes, Python's, takes 20 s of processor
/// time; on a machine that is busy with deliveries, behind which the compiler stands back, four times as long.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);

/// The address space of the process that compiles: up to four times the memory that it uses, since the allocator keeps
/// what it had. The program takes 100 MB and a component made of 18 MB of small functions 300 MB; large functions take
/// more. 320 KB made for it ask for 13 GiB.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 4096 * MIB;

/// Threads of the process that compiles. More would only take processors from deliveries: functions are compiled side
/// by side, and a file that is slow to compile mostly is so because of one of them.
pub const COMPILE_THREADS_MAX: usize = 4;

/// How far the process that compiles stands back behind others, as `nice` has it: a quarter of a busy processor is left
/// to it. At 10, a tenth, a good plugin ran into its time-out.
pub const COMPILE_NICENESS: i32 = 5;

/// Machine code of one component. It is about four times the size of the component.
pub const COMPILED_BYTES_MAX: u64 = 512 * MIB;

/// What is kept of the standard error of the process that compiles: why it ended, where it says so.
pub const COMPILER_WORDS_BYTES_MAX: u64 = 4 * KIB;

/// Compiled components that are kept on disk beside those that are loaded: several versions back for each plugin of a
/// large folder.
pub const CACHE_SPARES_MAX: usize = 64;

/// What the compiled components that are kept beside those that are loaded may take on disk.
pub const CACHE_SPARE_BYTES_MAX: u64 = 1024 * MIB;
