//! Putting together what matching routes ask for.

use super::{Mode, Planned, Route};
use crate::id::ChannelName;

/// A plan while it is made: the deliveries that are made at once, each with those in reserve behind it.
#[derive(Default)]
pub(super) struct Plan(Vec<Planned>);

impl Plan {
    /// Adds what a route that matches asks for.
    pub(super) fn add(&mut self, route: &Route) {
        match route.mode {
            Mode::FanOut => {
                for channel in &route.channels {
                    self.at_once(route, channel);
                }
            }
            Mode::Failover(after) => {
                let Some((first, others)) = route.channels.split_first() else {
                    return;
                };
                let start = self.at_once(route, first);
                for channel in others {
                    let behind = self.0[start + 1..].iter();
                    let end = start + 1 + behind.take_while(|one| one.after.is_some()).count();
                    if !self.0[start..end].iter().any(|one| one.channel == *channel) {
                        let in_reserve = Planned {
                            after: Some(after),
                            ..planned(route, channel)
                        };
                        self.0.insert(end, in_reserve);
                    }
                }
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Planned> {
        self.0
    }

    /// The place of the delivery that the channel gets at once; made where there is none yet.
    fn at_once(&mut self, route: &Route, channel: &ChannelName) -> usize {
        let mut known = self.0.iter();
        let known = known.position(|one| one.after.is_none() && one.channel == *channel);
        known.unwrap_or_else(|| {
            self.0.push(planned(route, channel));
            self.0.len() - 1
        })
    }
}

fn planned(route: &Route, channel: &ChannelName) -> Planned {
    Planned::at_once(route.name.clone(), channel.clone())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// Goal: each channel gets one delivery at once, and every failover keeps its reserve.
    #[test]
    fn a_channel_gets_one_delivery_at_once_and_a_failover_keeps_its_reserve() {
        let failover = |after| Mode::Failover(NonZeroU32::new(after).unwrap());
        let check = |routes: &[(&str, Mode)], expected: &str| {
            let mut plan = Plan::default();
            for (number, (channels, mode)) in (1..).zip(routes) {
                plan.add(&Route {
                    name: format!("r{number}").into(),
                    conditions: Vec::new(),
                    channels: channels.split(' ').map(ChannelName::new).collect(),
                    mode: *mode,
                    stop: false,
                    is_catch_all: false,
                });
            }
            let planned = plan.finish();
            let shown = planned.iter().map(|one| match one.after {
                None => format!("{}={}", one.channel, one.route),
                Some(after) => format!("+{}={}/{after}", one.channel, one.route),
            });
            assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
        };
        check(
            &[("a b", Mode::FanOut), ("b c", Mode::FanOut)],
            "a=r1 b=r1 c=r2",
        );
        check(&[("a b c", failover(2))], "a=r1 +b=r1/2 +c=r1/2");
        // A last resort that two routes share.
        check(
            &[("a z", failover(1)), ("b z", failover(1))],
            "a=r1 +z=r1/1 b=r2 +z=r2/1",
        );
        // What another route gives the message anyway.
        check(&[("a", Mode::FanOut), ("a b", failover(3))], "a=r1 +b=r2/3");
        check(
            &[
                ("a b", failover(1)),
                ("b", Mode::FanOut),
                ("a b c", failover(3)),
            ],
            "a=r1 +b=r1/1 +c=r3/3 b=r2",
        );
    }
}
