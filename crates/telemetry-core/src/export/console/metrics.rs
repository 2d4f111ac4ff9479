//! A series is a line, printed when it changes.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::{Output, attribute, local_time};

/// Prints each series whose value is another than at the last export, so an idle service prints nothing. (What moves all the time,
/// `process.*`, `tokio.*` and `otel.sdk.*`, is left to the other exporters.)
///
/// `12:00:05.000 order-service http.server.request.duration{http.route=/api/orders} count=12 mean=0.013 max=0.1 s`
#[derive(Debug)]
pub(in crate::export) struct Metrics {
    output: Output,
    /// The value last printed of each series.
    printed: Mutex<HashMap<String, String>>,
}

impl Metrics {
    pub(in crate::export) fn to_stdout() -> Self {
        Self { output: Output::stdout(), printed: Mutex::default() }
    }

    #[cfg(test)]
    fn to(page: &super::page::Page) -> Self {
        Self { output: Output::to(page.clone()), printed: Mutex::default() }
    }
}

impl PushMetricExporter for Metrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let service = metrics.resource().get(&Key::from_static_str("service.name"));
        let service = service.map(|name| name.to_string()).unwrap_or_default();
        let now = local_time(SystemTime::now()).to_string();
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        for metric in metrics.filter(|metric| can_rest(metric.name())) {
            for (series, value) in series(metric) {
                if printed.get(&series) != Some(&value) {
                    lines += &format!("{now} {service} {series} {value}\n");
                    printed.insert(series, value);
                }
            }
        }
        if !lines.is_empty() {
            self.output.print(&lines);
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// Whether a metric stays as it is while the service is idle; what the process and its runtimes use never does, and what
/// telemetry tells of itself moves with each export.
fn can_rest(name: &str) -> bool {
    !["otel.sdk.", "process.", "tokio."].iter().any(|beginning| name.starts_with(beginning))
}

/// The name and the value of each series, as they are printed.
fn series(metric: &Metric) -> Vec<(String, String)> {
    match metric.data() {
        AggregatedMetrics::F64(data) => points(metric, data, |number| number),
        AggregatedMetrics::U64(data) => points(metric, data, |number| number as f64),
        AggregatedMetrics::I64(data) => points(metric, data, |number| number as f64),
    }
}

fn points<T: Copy + Display>(
    metric: &Metric,
    data: &MetricData<T>,
    float: impl Fn(T) -> f64,
) -> Vec<(String, String)> {
    let unit = metric.unit();
    let unit = if unit.is_empty() || unit == "1" { String::new() } else { format!(" {unit}") };
    let name = |attributes: &mut dyn Iterator<Item = &KeyValue>| {
        let mut attributes: Vec<&KeyValue> = attributes.collect();
        // The SDK has those of a series sorted, or in the order of its first measurement.
        attributes.sort_unstable_by(|one, other| one.key.as_str().cmp(other.key.as_str()));
        let attributes: Vec<String> = attributes.into_iter().map(attribute).collect();
        match attributes.as_slice() {
            [] => metric.name().to_owned(),
            attributes => format!("{}{{{}}}", metric.name(), attributes.join(",")),
        }
    };
    let distribution = |count: u64, sum: T, max: Option<T>| {
        let mean = if count == 0 { 0.0 } else { float(sum) / count as f64 };
        let max = max.map(|max| format!(" max={}", short(float(max)))).unwrap_or_default();
        format!("count={count} mean={}{max}{unit}", short(mean))
    };
    match data {
        MetricData::Gauge(gauge) => gauge
            .data_points()
            .map(|point| (name(&mut point.attributes()), format!("{}{unit}", short(float(point.value())))))
            .collect(),
        MetricData::Sum(sum) => sum
            .data_points()
            .map(|point| (name(&mut point.attributes()), format!("{}{unit}", short(float(point.value())))))
            .collect(),
        MetricData::Histogram(histogram) => histogram
            .data_points()
            .map(|point| {
                (name(&mut point.attributes()), distribution(point.count(), point.sum(), point.max()))
            })
            .collect(),
        MetricData::ExponentialHistogram(histogram) => histogram
            .data_points()
            .map(|point| {
                let count = u64::try_from(point.count()).unwrap_or(u64::MAX);
                (name(&mut point.attributes()), distribution(count, point.sum(), point.max()))
            })
            .collect(),
    }
}

/// Whole numbers whole, others with as many digits as a person compares.
fn short(number: f64) -> String {
    if number.fract() == 0.0 || number.abs() >= 1000.0 {
        format!("{number:.0}")
    } else if number.abs() >= 1.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.6}").trim_end_matches('0').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};

    use super::super::page::Page;
    use super::*;

    /// A provider that prints on demand.
    fn provider(page: &Page) -> SdkMeterProvider {
        let reader =
            PeriodicReader::builder(Metrics::to(page)).with_interval(Duration::from_secs(3600)).build();
        let resource = Resource::builder_empty().with_service_name("order-service").build();
        SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build()
    }

    /// The lines of an export without their times.
    fn printed(provider: &SdkMeterProvider, page: &Page) -> Vec<String> {
        provider.force_flush().expect("printing does not fail");
        let mut lines: Vec<String> = page
            .text()
            .lines()
            .map(|line| line.split_once(' ').expect("a time and a line").1.to_owned())
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_series_is_printed_when_it_changes_and_only_then() {
        let page = Page::default();
        let provider = provider(&page);
        let meter = provider.meter("test");
        let orders = meter.u64_counter("orders.created").with_unit("{order}").build();
        let open = meter.i64_up_down_counter("orders.open").build();
        crate::runtime::observe(&meter);
        orders.add(2, &[KeyValue::new("order.type", "standard")]);
        open.add(1, &[]);
        assert_eq!(
            printed(&provider, &page),
            ["order-service orders.created{order.type=standard} 2 {order}", "order-service orders.open 1"]
        );
        assert!(printed(&provider, &page).is_empty(), "an idle service prints nothing");
        open.add(-1, &[]);
        assert_eq!(printed(&provider, &page), ["order-service orders.open 0"]);
    }

    #[test]
    fn a_series_shows_its_attributes_in_the_order_of_their_names() {
        let page = Page::default();
        let provider = provider(&page);
        let orders = provider.meter("test").u64_counter("orders.created").build();
        // The SDK has each in either order.
        let sizes = 10..40_i64;
        for size in sizes.clone() {
            orders.add(1, &[KeyValue::new("order.size", size), KeyValue::new("app.tier", "free")]);
        }
        let wanted =
            sizes.map(|size| format!("order-service orders.created{{app.tier=free,order.size={size}}} 1"));
        assert_eq!(printed(&provider, &page), wanted.collect::<Vec<_>>());
    }

    #[test]
    fn a_distribution_shows_count_mean_and_maximum() {
        let page = Page::default();
        let provider = provider(&page);
        let duration =
            provider.meter("test").f64_histogram("http.server.request.duration").with_unit("s").build();
        for seconds in [0.01, 0.02, 0.06] {
            duration.record(seconds, &[]);
        }
        assert_eq!(
            printed(&provider, &page),
            ["order-service http.server.request.duration count=3 mean=0.03 max=0.06 s"]
        );
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (12.3456, "12.35"),
            (0.0125, "0.0125"),
            (123_456.7, "123457"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
