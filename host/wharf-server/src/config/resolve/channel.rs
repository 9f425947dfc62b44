//! `[[channel]]`, its retries among it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use wharf_core::rate::Rate;
use wharf_core::{ChannelName, MessageId, breaker, limits, order, retry};

use super::super::file::Schedule;
use super::super::{Channel, HookUse, Protection, bounds, file, value};
use super::Resolver;
use crate::limits::RECEIPT_GRACE_DEFAULT;

impl Resolver<'_> {
    pub(super) fn channels(&mut self, channels: Vec<file::Channel>) -> Vec<Channel> {
        let mut names = BTreeSet::new();
        let mut resolved = Vec::new();
        if channels.len() > limits::DELIVERIES_COUNT_MAX {
            self.problem(format!(
                "channel: there are {}; a message can go to at most {}",
                channels.len(),
                limits::DELIVERIES_COUNT_MAX
            ));
        }
        for channel in channels {
            let at = format!("channel {:?}", channel.name);
            if MessageId::parse(&channel.name).is_err() {
                self.problem(format!("{at}: its name takes 1 to 64 of A-Z a-z 0-9 _ -"));
            }
            if !names.insert(channel.name.clone()) {
                self.problem(format!("{at}: there are two of this name"));
            }
            let parallelism = self
                .within(
                    format_args!("{at}: parallelism"),
                    channel.parallelism,
                    &bounds::PARALLELISM,
                )
                .unwrap_or(64);
            if channel
                .lane_parallelism
                .is_some_and(|lane| !(1..=parallelism).contains(&lane))
            {
                self.problem(format!(
                    "{at}: lane-parallelism takes 1 to the channel's parallelism, which is {parallelism}"
                ));
            }
            resolved.push(Channel {
                name: ChannelName::new(&channel.name),
                send: HookUse {
                    plugin: channel.plugin,
                    settings: self.settings(&format!("{at}: config"), &channel.config),
                },
                enrich: self.uses(&format!("{at}: enrich"), channel.enrich),
                convert: self.uses(&format!("{at}: convert"), channel.convert),
                annotate: self.uses(&format!("{at}: annotate"), channel.annotate),
                receive: channel
                    .receive
                    .and_then(|hook| self.uses(&format!("{at}: receive"), vec![hook]).pop()),
                receipt_grace: self
                    .within(
                        format_args!("{at}: receipt-grace"),
                        channel.receipt_grace.map(|d| d.0),
                        &bounds::RECEIPT_GRACE,
                    )
                    .unwrap_or(RECEIPT_GRACE_DEFAULT),
                parallelism,
                timeout: self
                    .within(
                        format_args!("{at}: timeout"),
                        channel.timeout.map(|d| d.0),
                        &bounds::CHANNEL_TIMEOUT,
                    )
                    .unwrap_or(Duration::from_secs(30)),
                protection: Protection {
                    lane_parallelism: channel.lane_parallelism,
                    rate: self.rate(&format!("{at}: rate"), channel.rate),
                    lane_rate: self.rate(&format!("{at}: lane-rate"), channel.lane_rate),
                    breaker: self.breaker(&format!("{at}: breaker"), &channel.breaker),
                },
                order: self.order(&at, channel.order, channel.order_until, channel.on_dead),
                retry: self.retry(&at, channel.retry),
            });
        }
        resolved
    }

    fn order(
        &mut self,
        at: &str,
        order: file::Order,
        until: Option<file::Until>,
        on_dead: Option<file::OnDead>,
    ) -> Option<order::Policy> {
        if order == file::Order::None {
            for (key, is_there) in [
                ("order-until", until.is_some()),
                ("on-dead", on_dead.is_some()),
            ] {
                if is_there {
                    self.problem(format!("{at}: {key} says nothing without order = \"key\""));
                }
            }
            return None;
        }
        Some(order::Policy {
            until: match until {
                None | Some(file::Until::Delivered) => order::Until::Delivered,
                Some(file::Until::Accepted) => order::Until::Accepted,
            },
            on_dead: match on_dead {
                None | Some(file::OnDead::Continue) => order::OnDead::Continue,
                Some(file::OnDead::Block) => order::OnDead::Block,
            },
        })
    }

    fn rate(&mut self, at: &str, rate: Option<value::Rate>) -> Option<Rate> {
        let value::Rate { count, per } = rate?;
        let count = self.within(at, Some(count), &bounds::RATE_COUNT)?;
        Some(Rate {
            count: NonZeroU32::new(count)?,
            per,
        })
    }

    fn breaker(&mut self, at: &str, file: &file::Breaker) -> breaker::Policy {
        let default = breaker::Policy::default();
        let failures = self.within(
            format_args!("{at}.failures"),
            file.failures,
            &bounds::BREAKER_FAILURES,
        );
        let mut wait = |key: &str, wait: Option<value::Duration>| {
            self.within(
                format_args!("{at}.{key}"),
                wait.map(|d| d.0),
                &bounds::BREAKER_WAIT,
            )
        };
        let first = wait("wait", file.wait).unwrap_or(default.wait);
        let most = wait("wait-max", file.wait_max);
        if most.is_some_and(|most| most < first) {
            self.problem(format!("{at}.wait-max is shorter than {at}.wait"));
        }
        let probes = self.within(
            format_args!("{at}.probes"),
            file.probes,
            &bounds::BREAKER_PROBES,
        );
        breaker::Policy {
            failures: failures.map_or(default.failures, |count| (count > 0).then_some(count)),
            wait: first,
            wait_max: most.unwrap_or(default.wait_max.max(first)),
            probes: probes.unwrap_or(default.probes),
        }
    }

    fn retry(&mut self, at: &str, file: file::Retry) -> retry::Policy {
        let default = retry::Policy::default();
        let has_growth = file.base.is_some() || file.factor.is_some() || file.max.is_some();
        if file.schedule.is_some() && has_growth {
            self.problem(format!(
                "{at}: retry.schedule excludes base, factor and max"
            ));
        }
        let mut wait = |key: &str, wait: Option<Duration>, default: u64| {
            self.within(format_args!("{at}: retry.{key}"), wait, &bounds::RETRY_WAIT)
                .unwrap_or(Duration::from_secs(default))
        };
        let base = wait("base", file.base.map(|d| d.0), 1);
        let max = wait("max", file.max.map(|d| d.0), 3600);
        let mut policy = match file.schedule {
            Some(Schedule::Preset(name)) => retry::Policy::preset(&name).unwrap_or_else(|| {
                self.problem(format!(
                    "{at}: retry.schedule: there is no preset {name:?}; there are {}",
                    retry::Policy::PRESETS.join(", ")
                ));
                default.clone()
            }),
            Some(Schedule::Waits(waits)) => {
                let waits: Vec<_> = waits.iter().map(|wait| wait.0).collect();
                self.within(
                    format_args!("{at}: retry.schedule: a wait"),
                    waits.iter().max().copied(),
                    &bounds::SCHEDULE_WAIT,
                );
                retry::Policy {
                    schedule: retry::Schedule::Explicit(waits),
                    attempts_max: None,
                    ..default
                }
            }
            None => retry::Policy {
                schedule: retry::Schedule::Exponential {
                    base,
                    factor: file.factor.unwrap_or(2.0),
                    max,
                },
                ..default
            },
        };
        if file
            .factor
            .is_some_and(|factor| !(1.0..=1000.0).contains(&factor))
        {
            self.problem(format!("{at}: retry.factor takes 1 to 1000"));
        }
        if let Some(jitter) = file.jitter {
            if !(0.0..=1.0).contains(&jitter) {
                self.problem(format!("{at}: retry.jitter takes 0 to 1"));
            }
            policy.jitter = jitter;
        }
        if file.attempts == Some(0) {
            self.problem(format!("{at}: retry.attempts is 0; it takes at least 1"));
        }
        policy.attempts_max = file.attempts.or(policy.attempts_max);
        policy.age_max = self.within(
            format_args!("{at}: retry.max-age"),
            file.max_age.map(|d| d.0),
            &bounds::RETRY_WAIT,
        );
        policy
    }
}
