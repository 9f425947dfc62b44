//! From a file to a plugin: read, check, compile, look at what it imports and exports, try it.
//!
//! Everything that can be wrong with a plugin is found here, before a message depends on it, and each refusal says
//! what to do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::CONTRACT_VERSION;
use crate::bindings::types::Description;
use crate::bindings::{converter, description, enricher, post_event, request_channel};
use crate::compile::Source;
use crate::fault::{Bytes, PluginFault};
use crate::grants::{Grants, Import};
use crate::guest_log::{About, Sink};
use crate::hook::Hook;
use crate::host;
use crate::instance::{Instance, Limits, State, Template};
use crate::limits;
use crate::plugin::{Exports, Inner, Plugin, PluginInfo};
use crate::pool::Slots;

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
    #[error("imports {}", powers(.imports))]
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
    /// It made the host itself panic.
    #[error("made the host panic, which is a bug of the host; its log says where")]
    Panicked,
    /// It failed when it was tried.
    #[error("failed its trial run")]
    Trial(#[source] PluginFault),
}

/// What is not granted, by what would grant it.
fn powers(imports: &[(String, Cow<'static, str>)]) -> String {
    let mut by_help: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (import, help) in imports {
        by_help.entry(help).or_default().push(import.clone());
    }
    let texts = by_help
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

/// Makes a plugin of a file, and notes down what it finds out on the way.
pub(crate) async fn load(
    host: &host::Inner,
    name: &str,
    path: &Path,
    grants: Grants,
    findings: &mut Findings,
) -> Result<Plugin, LoadProblem> {
    let source = Source::read(path).await?;
    let (digest, size_bytes) = (source.digest.clone(), source.size_bytes());
    findings.file = Some((digest.clone(), size_bytes));
    check_grants(&grants)?;
    check_pin(&grants, &digest)?;
    let compiled = host.compiler.compile(&source, host.digests()).await?;
    let component = &compiled.component;
    findings.imports = imports(component);
    let exports = Found::of(component);
    findings.hooks.clone_from(&exports.hooks);
    check_imports(&findings.imports, name, &grants)?;
    exports.check()?;
    let (hooks, imports, described) = (
        exports.hooks,
        findings.imports.clone(),
        exports.is_described,
    );

    let contract = |error: wasmtime::Error| LoadProblem::Contract {
        reason: format!("{error:#}"),
    };
    let pre = host.linker.instantiate_pre(component).map_err(contract)?;
    let exports = look_up(&pre, &hooks).map_err(contract)?;

    let shared_name: Arc<str> = name.into();
    let limits = Limits {
        timeout: grants.timeout,
        memory_bytes: grants.memory_max_bytes,
        output_bytes: host.options.output_max_bytes,
        calls_max: host.options.calls_per_instance_max,
    };
    let template = Template {
        limits: Limits {
            timeout: limits::TRIAL_TIMEOUT,
            ..limits
        },
        turns: host.budget.turns.clone(),
        settings: Arc::new(WasiConfigVariables::new()),
        sink: Arc::new(Sink::new(Arc::clone(&shared_name), "load".to_owned())),
    };
    let description = if described {
        let pre = description::PluginOnlyPre::new(pre).map_err(contract)?;
        Some(
            describe(host, &pre, &template)
                .await
                .map_err(LoadProblem::Trial)?,
        )
    } else {
        let trial = Instance::<wasmtime::component::Instance>::make(&host.engine, &pre, &template);
        trial.await.map_err(LoadProblem::Trial)?;
        None
    };

    Ok(Plugin::new(Inner {
        info: PluginInfo {
            name: name.to_owned(),
            path: path.to_owned(),
            digest,
            size_bytes,
            hooks,
            imports,
            description,
            from_cache: compiled.from_cache,
        },
        shared_name,
        slots: Slots::new(grants.instances_max),
        grants,
        limits,
        exports,
        engine: host.engine.clone(),
        budget: Arc::clone(&host.budget),
    }))
}

fn check_grants(grants: &Grants) -> Result<(), LoadProblem> {
    if grants.memory_max_bytes > limits::MEMORY_BYTES_CEILING {
        return Err(LoadProblem::Grant {
            key: "memory-max",
            given: Bytes(grants.memory_max_bytes).to_string(),
            most: Bytes(limits::MEMORY_BYTES_CEILING).to_string(),
        });
    }
    if grants.timeout > limits::CALL_TIMEOUT_CEILING {
        return Err(LoadProblem::Grant {
            key: "timeout",
            given: format!("{} s", grants.timeout.as_secs()),
            most: format!("{} s", limits::CALL_TIMEOUT_CEILING.as_secs()),
        });
    }
    Ok(())
}

fn check_pin(grants: &Grants, digest: &str) -> Result<(), LoadProblem> {
    match &grants.sha256 {
        Some(pin) if !pin.trim().eq_ignore_ascii_case(digest) => Err(LoadProblem::Digest {
            expected: pin.clone(),
            found: digest.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn imports(component: &Component) -> Vec<String> {
    let types = component.component_type();
    let imports = types.imports(component.engine());
    imports.map(|(name, _)| name.to_owned()).collect()
}

/// Runs before linking, so that the words are ours and name what would help. What no grant would meet comes first:
/// nobody is to grant something for a plugin that cannot be loaded either way.
fn check_imports(imports: &[String], plugin: &str, grants: &Grants) -> Result<(), LoadProblem> {
    let mut ungranted = Vec::new();
    for import in imports {
        match grants.import(import, plugin) {
            Import::Baseline | Import::Granted(_) => {}
            Import::Ungranted(help) => ungranted.push((import.clone(), help)),
            Import::Refused(help) => {
                return Err(LoadProblem::Import {
                    import: import.clone(),
                    help,
                });
            }
        }
    }
    match ungranted {
        imports if imports.is_empty() => Ok(()),
        imports => Err(LoadProblem::Ungranted { imports }),
    }
}

/// What a component exports.
#[derive(Default)]
struct Found {
    hooks: Vec<Hook>,
    is_described: bool,
    /// The first one of another draft.
    other_draft: Option<String>,
    all: Vec<String>,
}

impl Found {
    fn of(component: &Component) -> Found {
        let mut found = Found::default();
        for (export, _) in component.component_type().exports(component.engine()) {
            found.all.push(export.to_owned());
            let Some(ours) = export.strip_prefix("wharf:delivery/") else {
                continue;
            };
            let (interface, version) = ours.split_once('@').unwrap_or((ours, ""));
            if version != CONTRACT_VERSION {
                found.other_draft.get_or_insert(export.to_owned());
                continue;
            }
            found.is_described |= interface == "plugin";
            found.hooks.extend(Hook::by_name(interface));
        }
        found.hooks.sort();
        found
    }

    fn check(&self) -> Result<(), LoadProblem> {
        if let Some(export) = &self.other_draft {
            return Err(LoadProblem::OtherDraft {
                export: export.clone(),
            });
        }
        if self.hooks.is_empty() {
            return Err(LoadProblem::NoHook {
                exports: self.all.clone(),
            });
        }
        Ok(())
    }
}

fn look_up(pre: &InstancePre<State>, hooks: &[Hook]) -> wasmtime::Result<Exports> {
    let mut exports = Exports::default();
    for hook in hooks {
        let pre = pre.clone();
        match hook {
            Hook::Enricher => exports.enricher = Some(enricher::EnricherOnlyPre::new(pre)?),
            Hook::Converter => exports.converter = Some(converter::ConverterOnlyPre::new(pre)?),
            Hook::RequestChannel => {
                exports.request_channel = Some(request_channel::RequestChannelOnlyPre::new(pre)?);
            }
            Hook::PostEvent => exports.post_event = Some(post_event::PostEventOnlyPre::new(pre)?),
        }
    }
    Ok(exports)
}

async fn describe(
    host: &host::Inner,
    pre: &description::PluginOnlyPre<State>,
    template: &Template,
) -> Result<Description, PluginFault> {
    let mut instance =
        Instance::<description::PluginOnly>::make(&host.engine, pre, template).await?;
    let (store, guest, deadline) = instance.enter(About::Events(0));
    let run = guest.wharf_delivery_plugin().call_describe(store);
    match timeout_at(deadline, run).await {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(error)) => Err(instance.fault(&error)),
        Err(_) => Err(instance.overdue()),
    }
}
