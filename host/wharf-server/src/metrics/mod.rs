//! `/metrics`: numbers for Prometheus, in the OpenMetrics text format.
//!
//! Nothing is counted here. Each room counts what it does in atomics of its own, and a scrape reads them: the hot
//! path knows of no registry, and a label is a name of the configuration or a word of a fixed list, never an id or a
//! URL.

mod channels;
mod disk;
mod histogram;
mod pauses;
mod plugins;
mod space;
mod store;
mod updates;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use channels::{ChannelNumbers, Channels};
pub(crate) use disk::DiskNumbers;
use histogram::Histogram;
pub(crate) use pauses::PauseNumbers;
pub(crate) use plugins::PluginNumbers;
pub(crate) use space::SpaceNumbers;
pub(crate) use store::StoreNumbers;
pub(crate) use updates::UpdateNumbers;

/// Media type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a scrape reads.
#[derive(Debug)]
pub(crate) struct Metrics(Registry);

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self(Registry::with_prefix("wharf"));
        metrics.add(Build);
        metrics
    }

    pub(crate) fn add(&mut self, numbers: impl Numbers) {
        self.0.register_collector(Box::new(Adapter(numbers)));
    }

    /// All of it, now.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// A room's numbers.
pub(crate) trait Numbers: Send + Sync + 'static {
    /// Writes them as they are now.
    fn write(&self, page: &mut Page<'_>) -> fmt::Result;
}

struct Adapter<N>(N);

impl<N> fmt::Debug for Adapter<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<N>())
    }
}

impl<N: Numbers> Collector for Adapter<N> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.write(&mut Page(encoder))
    }
}

/// Where numbers are written.
pub(crate) struct Page<'a>(DescriptorEncoder<'a>);

/// The labels of one number.
pub(crate) type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Page<'_> {
    /// What can go up and down.
    pub(crate) fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => family.encode_gauge(&value)?,
                false => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// What only rises while the process runs.
    pub(crate) fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => family.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
                false => family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, f64>(&value, None)?,
            }
        }
        Ok(())
    }

    /// How observations are spread.
    pub(crate) fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels<'a>, Spread)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Histogram)?;
        for (labels, Spread { sum, buckets }) in values {
            let count = buckets.iter().map(|(_, count)| count).sum();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// A histogram as it is now.
pub(crate) struct Spread {
    pub(crate) sum: f64,
    /// Upper bound and count of each bucket, the last one unbounded; not summed up.
    pub(crate) buckets: Vec<(f64, u64)>,
}

/// The version that runs.
struct Build;

impl Numbers for Build {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let labels = vec![("version", env!("CARGO_PKG_VERSION"))];
        page.gauge(
            "build",
            "The version that runs; always 1.",
            None,
            [(labels, 1.0)],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some;

    impl Numbers for Some {
        fn write(&self, page: &mut Page<'_>) -> fmt::Result {
            page.counter("sent", "What was sent.", [(vec![("channel", "a\"b")], 3)])?;
            let spread = Spread {
                sum: 1.5,
                buckets: vec![(0.5, 1), (1.0, 2), (f64::INFINITY, 1)],
            };
            let labels = vec![("channel", "a")];
            page.histogram(
                "took",
                "How long.",
                Option::Some(&Unit::Seconds),
                [(labels, spread)],
            )
        }
    }

    /// Names get prefix, unit and suffix; label values are escaped; buckets are summed up to the last one.
    #[test]
    fn numbers_are_written_as_openmetrics() {
        let mut metrics = Metrics::new();
        metrics.add(Some);
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE wharf_sent counter",
            r#"wharf_sent_total{channel="a\"b"} 3"#,
            "# UNIT wharf_took_seconds seconds",
            r#"wharf_took_seconds_bucket{le="1.0",channel="a"} 3"#,
            r#"wharf_took_seconds_bucket{le="+Inf",channel="a"} 4"#,
            r#"wharf_took_seconds_count{channel="a"} 4"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
