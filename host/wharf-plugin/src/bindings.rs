//! What `bindgen!` makes of `wit/`, and nothing else.
//!
//! The host binds to minimal worlds, one for each exported interface, so that a component may import and export
//! whatever else it likes; imports are judged in `grants.rs` and met in `link.rs`. All worlds share the types of
//! [`contract`], so a value goes from one hook to the next without a conversion.

// Generated code keeps no house style.
#![allow(unreachable_pub, unused_qualifications, clippy::all)]

use wasmtime::Store;

use crate::state::State;

/// The contract's types, shared by all worlds, and our one import.
pub(crate) mod contract {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world imports {
                import wharf:delivery/types@0.1.0-draft.4;
                import wharf:delivery/log@0.1.0-draft.4;
            }
        ",
        imports: { default: trappable },
        additional_derives: [PartialEq],
    });
}

pub(crate) mod enricher {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world enricher-only { export wharf:delivery/enricher@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod converter {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world converter-only { export wharf:delivery/converter@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod request_channel {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world request-channel-only { export wharf:delivery/request-channel@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod channel {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world channel-only { export wharf:delivery/channel@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod annotator {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world annotator-only { export wharf:delivery/annotator@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod post_event {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world post-event-only { export wharf:delivery/post-event@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod router {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world router-only { export wharf:delivery/router@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod receiver {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world receiver-only { export wharf:delivery/receiver@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
        with: { "wharf:delivery/types@0.1.0-draft.4": crate::bindings::contract::wharf::delivery::types },
    });
}

pub(crate) mod description {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package wharf:host;
            world plugin-only { export wharf:delivery/plugin@0.1.0-draft.4; }
        ",
        exports: { default: async },
        additional_derives: [PartialEq],
    });
}

/// The values of the contract, as every hook of this crate takes and gives them.
pub mod types {
    pub use super::contract::wharf::delivery::types::{
        Call, Effect, Event, Failure, Fault, Outcome, Pairs, Receipt, Refusal, Scope, Waiting, Wire,
    };
    pub use super::description::exports::wharf::delivery::plugin::{Description, Needs, Setting};
    pub use super::enricher::exports::wharf::delivery::enricher::Enrichment;
    pub use super::receiver::exports::wharf::delivery::receiver::{
        ReceiptRequest, Reported, Update,
    };
    pub use super::request_channel::exports::wharf::delivery::request_channel::{
        NoAnswer, Operation, Request, Response, Step,
    };
    pub use super::router::exports::wharf::delivery::router::{
        Decision as RouterDecision, Message as RoutedMessage, Mode as RouterMode,
    };
}

/// A world's bindings: made in a store from what was looked up once for the component.
pub(crate) trait Guest: Sized + Send + Sync + 'static {
    /// The looked-up exports, checked against the contract.
    type Pre: Clone + Send + Sync + 'static;

    /// Runs the component's start code.
    fn instantiate(
        pre: &Self::Pre,
        store: &mut Store<State>,
    ) -> impl Future<Output = wasmtime::Result<Self>> + Send;
}

macro_rules! guests {
    ($($guest:ty, $pre:ty;)*) => {$(
        impl Guest for $guest {
            type Pre = $pre;

            async fn instantiate(pre: &$pre, store: &mut Store<State>) -> wasmtime::Result<Self> {
                pre.instantiate_async(store).await
            }
        }
    )*};
}

guests! {
    enricher::EnricherOnly, enricher::EnricherOnlyPre<State>;
    converter::ConverterOnly, converter::ConverterOnlyPre<State>;
    request_channel::RequestChannelOnly, request_channel::RequestChannelOnlyPre<State>;
    channel::ChannelOnly, channel::ChannelOnlyPre<State>;
    annotator::AnnotatorOnly, annotator::AnnotatorOnlyPre<State>;
    post_event::PostEventOnly, post_event::PostEventOnlyPre<State>;
    router::RouterOnly, router::RouterOnlyPre<State>;
    receiver::ReceiverOnly, receiver::ReceiverOnlyPre<State>;
    description::PluginOnly, description::PluginOnlyPre<State>;
    wasmtime::component::Instance, wasmtime::component::InstancePre<State>;
}
