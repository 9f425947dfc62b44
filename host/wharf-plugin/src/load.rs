//! From a file to a plugin: read, check, compile, look at what it imports and exports, try it.
//!
//! Everything that can be wrong with a plugin is found here, before a message depends on it; `problem` says what that
//! is and what to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::CONTRACT_VERSION;
use crate::bindings::types::Description;
use crate::bindings::{
    annotator, channel, converter, description, enricher, post_event, receiver, request_channel,
    router,
};
use crate::budget::Slots;
use crate::compile::Source;
use crate::fault::{Bytes, PluginFault};
use crate::grants::{Grants, Import};
use crate::guest_log::{About, Sink};
use crate::hook::Hook;
use crate::host;
use crate::http::Http;
use crate::instance::Instance;
use crate::limits;
use crate::plugin::{Exports, Inner, Plugin, PluginInfo};
use crate::problem::{Findings, LoadProblem};
use crate::state::{Limits, Powers, State, Template};
use crate::stats::Stats;

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
            digest,
            size_bytes,
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
            Hook::Channel => exports.channel = Some(channel::ChannelOnlyPre::new(pre)?),
            Hook::Annotator => exports.annotator = Some(annotator::AnnotatorOnlyPre::new(pre)?),
            Hook::PostEvent => exports.post_event = Some(post_event::PostEventOnlyPre::new(pre)?),
            Hook::Router => exports.router = Some(router::RouterOnlyPre::new(pre)?),
            Hook::Receiver => exports.receiver = Some(receiver::ReceiverOnlyPre::new(pre)?),
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
