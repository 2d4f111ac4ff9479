use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::convert;
use super::weigh::{self, Shape};
use crate::Store;
use crate::model::Resource;

/// An export request of one of the three signals.
pub(super) trait Signal: Message + Default + DeserializeOwned + 'static {
    /// The response that OTLP has for it.
    type Answer: Message + Default + PartialEq + Serialize;

    fn shape() -> &'static Shape;

    /// Hands everything valid to the store; answers what was rejected.
    fn keep(self, store: &Store) -> Rejected;

    fn answer(rejected: Rejected) -> Self::Answer;
}

/// How many items of a request were not kept, and why.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    items: u64,
    reasons: Vec<&'static str>,
}

impl Rejected {
    fn add(&mut self, items: u64, reason: &'static str) {
        self.items += items;
        if items > 0 && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn partial_success<T>(self, answer: impl FnOnce(i64, String) -> T) -> Option<T> {
        let items = i64::try_from(self.items).unwrap_or(i64::MAX);
        (items > 0).then(|| answer(items, self.reasons.join("; ")))
    }
}

impl Signal for ExportTraceServiceRequest {
    type Answer = ExportTraceServiceResponse;

    fn shape() -> &'static Shape {
        &weigh::TRACES
    }

    fn keep(self, store: &Store) -> Rejected {
        let mut rejected = Rejected::default();
        for of_resource in self.resource_spans {
            let resource = convert::resource(of_resource.resource);
            let service = resource.service().to_owned();
            let (mut spans, mut invalid) = (Vec::new(), 0);
            for of_scope in of_resource.scope_spans {
                let scope = convert::scope(of_scope.scope);
                for span in of_scope.spans {
                    match convert::span(span, &service, &scope) {
                        Ok(span) => spans.push(span),
                        Err(_) => invalid += 1,
                    }
                }
            }
            store.count_dropped(|dropped| dropped.invalid_spans += invalid);
            rejected.add(invalid, "spans without a valid trace id and span id");
            rejected.add(store.add_spans(resource, spans), "spans beyond the limit of their trace");
        }
        rejected
    }

    fn answer(rejected: Rejected) -> Self::Answer {
        let partial_success = rejected.partial_success(|rejected_spans, error_message| {
            ExportTracePartialSuccess { rejected_spans, error_message }
        });
        ExportTraceServiceResponse { partial_success }
    }
}

impl Signal for ExportLogsServiceRequest {
    type Answer = ExportLogsServiceResponse;

    fn shape() -> &'static Shape {
        &weigh::LOGS
    }

    fn keep(self, store: &Store) -> Rejected {
        for of_resource in self.resource_logs {
            let resource = convert::resource(of_resource.resource);
            let service = resource.service().to_owned();
            let mut records = Vec::new();
            for of_scope in of_resource.scope_logs {
                let scope = convert::scope(of_scope.scope);
                let of_scope = of_scope.log_records.into_iter();
                records.extend(of_scope.map(|record| convert::log_record(record, &service, &scope)));
            }
            store.add_logs(resource, records);
        }
        Rejected::default()
    }

    fn answer(rejected: Rejected) -> Self::Answer {
        let partial_success = rejected.partial_success(|rejected_log_records, error_message| {
            ExportLogsPartialSuccess { rejected_log_records, error_message }
        });
        ExportLogsServiceResponse { partial_success }
    }
}

impl Signal for ExportMetricsServiceRequest {
    type Answer = ExportMetricsServiceResponse;

    fn shape() -> &'static Shape {
        &weigh::METRICS
    }

    fn keep(self, store: &Store) -> Rejected {
        let mut rejected = Rejected::default();
        for of_resource in self.resource_metrics {
            let resource: Resource = convert::resource(of_resource.resource);
            let service = resource.service().to_owned();
            let (mut points, mut invalid) = (Vec::new(), 0);
            for of_scope in of_resource.scope_metrics {
                let scope = convert::scope(of_scope.scope);
                for metric in of_scope.metrics {
                    invalid += convert::metric(metric, &service, &scope, &mut points);
                }
            }
            store.count_dropped(|dropped| dropped.invalid_metric_points += invalid);
            rejected.add(invalid, "metrics or points without a value");
            store.add_metrics(resource, points);
        }
        rejected
    }

    fn answer(rejected: Rejected) -> Self::Answer {
        let partial_success = rejected.partial_success(|rejected_data_points, error_message| {
            ExportMetricsPartialSuccess { rejected_data_points, error_message }
        });
        ExportMetricsServiceResponse { partial_success }
    }
}
