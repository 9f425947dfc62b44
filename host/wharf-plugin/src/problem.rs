//! What can be wrong with a plugin file, and what was found out about it before.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::CONTRACT_VERSION;
use crate::fault::{Bytes, PluginFault};
use crate::hook::Hook;
use crate::limits;

/// A file that is not, or not yet, a plugin of this host.
#[derive(Debug, thiserror::Error)]
#[error("failed to load {}", .path.display())]
pub struct LoadError {
    /// The file, or the folder that could not be listed.
    pub path: PathBuf,
    /// What was found out about it before.
    pub findings: Findings,
    /// What is wrong with it.
    #[source]
    pub problem: LoadProblem,
}

impl LoadError {
    pub(crate) fn new(path: &Path, problem: LoadProblem) -> LoadError {
        LoadError {
            path: path.to_owned(),
            findings: Findings::default(),
            problem,
        }
    }

    /// The name that the plugin would have had.
    pub fn plugin_name(&self) -> Option<&str> {
        self.path.file_stem()?.to_str()
    }
}

/// What is known of a file, as far as loading it got.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The SHA-256 of the file, in hex, and its size. None: it could not be read.
    pub file: Option<(String, u64)>,
    /// The hooks that it implements.
    pub hooks: Vec<Hook>,
    /// Every import of the component, by its full name.
    pub imports: Vec<String>,
}

impl Findings {
    /// The SHA-256 of the file, in hex.
    pub fn digest(&self) -> Option<&str> {
        self.file.as_ref().map(|(digest, _)| digest.as_str())
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadProblem {
    /// The file or folder cannot be read.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// The file's name is no text.
    #[error("its name is not UTF-8; rename it")]
    Name,
    /// Larger than any plugin is.
    #[error("has {}, the limit is {}", Bytes(*.size_bytes), Bytes(limits::PLUGIN_BYTES_MAX))]
    TooLarge {
        /// The size of the file.
        size_bytes: u64,
    },
    /// Another file than the one that was pinned.
    #[error(
        "its SHA-256 is {found}, but `sha256` pins {expected}; restore the file or change the pin"
    )]
    Digest {
        /// The pin.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// Something else than a component.
    #[error("is not a WebAssembly component: {what}")]
    NotAComponent {
        /// What it is, and what to do.
        what: &'static str,
    },
    /// A component that the compiler refuses.
    #[error("cannot be compiled: {reason}")]
    Compile {
        /// The compiler's words.
        reason: String,
    },
    /// It took longer to compile than it may.
    #[error(
        "took longer to compile than {limit:?}; build it smaller (optimised, without unused code), \
         or raise `compile-timeout` in [plugins]"
    )]
    CompileTime {
        /// The limit.
        limit: Duration,
    },
    /// It took more memory to compile than it may.
    #[error(
        "took more memory to compile than {}; build it smaller (optimised, without unused code), \
         or raise `compile-memory-max` in [plugins]", Bytes(*.limit_bytes)
    )]
    CompileMemory {
        /// The limit.
        limit_bytes: u64,
    },
    /// Its machine code is larger than any plugin's.
    #[error(
        "compiles to more than {}; build it smaller (optimised, without unused code)",
        Bytes(*.limit_bytes)
    )]
    CompileOutput {
        /// The limit.
        limit_bytes: u64,
    },
    /// The process that compiles could not be started.
    #[error("cannot be compiled: the compiler process cannot be started")]
    CompilerStart(#[source] std::io::Error),
    /// The process that compiles ended without an answer, by no limit of ours.
    #[error("cannot be compiled: the compiler ended with {how}; touch the file to try again")]
    CompilerEnded {
        /// Its exit status, and what it said.
        how: String,
    },
    /// An import that this host meets for nobody.
    #[error("imports `{import}`: {help}")]
    Import {
        /// The import's full name.
        import: String,
        /// Why not, or what would help.
        help: Cow<'static, str>,
    },
    /// Imports that this host meets only where they are granted.
    #[error("imports {}", by_help(.imports))]
    Ungranted {
        /// Each one's full name, and what would grant it.
        imports: Vec<(String, Cow<'static, str>)>,
    },
    /// A component for something else.
    #[error(
        "implements no hook of wharf:delivery@{CONTRACT_VERSION}; it exports {}", list(.exports)
    )]
    NoHook {
        /// What it exports.
        exports: Vec<String>,
    },
    /// A plugin for another draft of the contract.
    #[error(
        "was built for another draft: it exports `{export}`, this host speaks {CONTRACT_VERSION}; \
         build it against this host's wit/"
    )]
    OtherDraft {
        /// The export's full name.
        export: String,
    },
    /// Names agree, types do not.
    #[error("does not fit the contract: {reason}")]
    Contract {
        /// The difference.
        reason: String,
    },
    /// A grant that no plugin can have.
    #[error("its granted `{key}` is {given}, the most is {most}")]
    Grant {
        /// The key in the configuration.
        key: &'static str,
        /// What the configuration gives.
        given: String,
        /// What this host gives at most.
        most: String,
    },
    /// A folder that was granted and is not there.
    #[error("its folder {} cannot be opened; make it, or change `folders`", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why it cannot be opened.
        #[source]
        source: std::io::Error,
    },
    /// It made the host itself panic.
    #[error("made the host panic, which is a bug of the host; its log says where")]
    Panicked,
    /// It failed when it was tried.
    #[error("failed its trial run")]
    Trial(#[source] PluginFault),
}

/// What is not granted, by what would grant it.
fn by_help(imports: &[(String, Cow<'static, str>)]) -> String {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (import, help) in imports {
        groups.entry(help).or_default().push(import.clone());
    }
    let texts = groups
        .iter()
        .map(|(help, imports)| format!("{}: {help}", list(imports)));
    texts.collect::<Vec<_>>().join("; and ")
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
