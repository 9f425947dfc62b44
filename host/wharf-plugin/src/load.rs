//! From a file to a plugin: read, check, compile, look at what it imports and exports, try it.
//!
//! Everything that can be wrong with a plugin is found here, before a message depends on it, and each refusal says
//! what to do.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::CONTRACT_VERSION;
use crate::bindings::types::Description;
use crate::bindings::{
    annotator, channel, converter, description, enricher, post_event, request_channel,
};
use crate::budget::Slots;
use crate::fault::{Bytes, PluginFault};
use crate::grants::{self, Grants, Import};
use crate::guest_log::{About, Sink};
use crate::hook::Hook;
use crate::host;
use crate::http::Http;
use crate::instance::Instance;
use crate::limits;
use crate::plugin::{Exports, Inner, Plugin, PluginInfo};
use crate::state::{Limits, Powers, State, Template};
use crate::stats::Stats;

/// A file that is not, or not yet, a plugin of this host.
#[derive(Debug, thiserror::Error)]
#[error("failed to load {}", .path.display())]
pub struct LoadError {
    /// The file, or the folder that could not be listed.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: LoadProblem,
}

impl LoadError {
    pub(crate) fn new(path: &Path, problem: LoadProblem) -> LoadError {
        LoadError {
            path: path.to_owned(),
            problem,
        }
    }

    /// The name that the plugin would have had.
    pub fn plugin_name(&self) -> Option<&str> {
        self.path.file_stem()?.to_str()
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
    /// An import that this host does not meet.
    #[error("imports `{import}`: {help}")]
    Import {
        /// The import's full name.
        import: String,
        /// Why not, or what would help.
        help: Cow<'static, str>,
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
    /// It failed when it was tried.
    #[error("failed its trial run")]
    Trial(#[source] PluginFault),
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

/// Makes a plugin of a file.
pub(crate) async fn load(
    host: &host::Inner,
    name: &str,
    path: &Path,
    grants: Grants,
) -> Result<Plugin, LoadProblem> {
    check_grants(&grants)?;
    let compiled = host
        .compiler
        .compile(path, grants.sha256.as_deref())
        .await?;
    let component = &compiled.component;
    let imports = check_imports(component, name, &grants)?;
    let (hooks, described) = check_exports(component)?;

    let contract = |error: wasmtime::Error| LoadProblem::Contract {
        reason: format!("{error:#}"),
    };
    let pre = host.linker.instantiate_pre(component).map_err(contract)?;
    let exports = look_up(&pre, &hooks).map_err(contract)?;

    let shared_name: Arc<str> = name.into();
    let stats = host.stats(name);
    let limits = Limits {
        timeout: grants.timeout,
        computing: None,
        memory_bytes: grants.memory_max_bytes,
        output_bytes: grants.output_max_bytes,
        calls_max: host.options.calls_per_instance_max,
    };
    let template = Template {
        limits: Limits {
            timeout: limits::TRIAL_TIMEOUT,
            ..limits
        },
        turns: host.budget.turns.clone(),
        settings: Arc::new(WasiConfigVariables::new()),
        sink: Arc::new(Sink::new(
            Arc::clone(&shared_name),
            "load".to_owned(),
            grants.log_lines_per_second,
            Arc::clone(&stats),
        )),
        // The trial is no message: nothing is to come of it.
        powers: Arc::default(),
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
            digest: compiled.digest,
            size_bytes: compiled.size_bytes,
            hooks,
            imports,
            description,
            from_cache: compiled.from_cache,
        },
        slots: Slots::new(grants.instances_max),
        powers: Arc::new(powers(host, &shared_name, &grants, &stats)),
        shared_name,
        stats,
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
    for folder in &grants.folders {
        std::fs::read_dir(&folder.path).map_err(|source| LoadProblem::Folder {
            path: folder.path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// What the grants give to the plugin's instances.
fn powers(host: &host::Inner, name: &Arc<str>, grants: &Grants, stats: &Arc<Stats>) -> Powers {
    let http = grants.http.as_ref().zip(host.options.http.as_ref());
    Powers {
        folders: grants.folders.clone(),
        http: http.map(|(grant, sender)| Http {
            plugin: Arc::clone(name),
            grant: Arc::new(grant.clone()),
            sender: Arc::clone(sender),
            places: Arc::new(Semaphore::new(
                grants.http_calls_max.min(Semaphore::MAX_PERMITS),
            )),
            calls_max: grants.http_calls_max,
            body_bytes_max: grants.output_max_bytes,
            stats: Arc::clone(stats),
        }),
    }
}

/// Names of all imports; the first one that is not met is the error. Runs before linking, so that the words are
/// ours and name what would help.
fn check_imports(
    component: &Component,
    plugin: &str,
    grants: &Grants,
) -> Result<Vec<String>, LoadProblem> {
    let mut names = Vec::new();
    for (import, _) in component.component_type().imports(component.engine()) {
        if let Import::Refused(help) = grants::import(import, plugin, grants) {
            return Err(LoadProblem::Import {
                import: import.to_owned(),
                help,
            });
        }
        names.push(import.to_owned());
    }
    Ok(names)
}

/// The hooks of a component, and whether it describes itself.
fn check_exports(component: &Component) -> Result<(Vec<Hook>, bool), LoadProblem> {
    let mut hooks = Vec::new();
    let mut described = false;
    let mut all = Vec::new();
    for (export, _) in component.component_type().exports(component.engine()) {
        all.push(export.to_owned());
        let Some(ours) = export.strip_prefix("wharf:delivery/") else {
            continue;
        };
        let (interface, version) = ours.split_once('@').unwrap_or((ours, ""));
        if version != CONTRACT_VERSION {
            return Err(LoadProblem::OtherDraft {
                export: export.to_owned(),
            });
        }
        described |= interface == "plugin";
        hooks.extend(Hook::by_name(interface));
    }
    if hooks.is_empty() {
        return Err(LoadProblem::NoHook { exports: all });
    }
    hooks.sort();
    Ok((hooks, described))
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
            Hook::Channel => exports.channel = Some(channel::ChannelOnlyPre::new(pre)?),
            Hook::Annotator => exports.annotator = Some(annotator::AnnotatorOnlyPre::new(pre)?),
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
    let (store, guest, watch) = instance.enter(About::Events(0), Instant::now());
    let run = guest.wharf_delivery_plugin().call_describe(store);
    match watch.run(run).await {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(error)) => Err(instance.fault(&error)),
        Err(_) => Err(instance.overdue()),
    }
}
