//! An OTLP exporter of our own: what a batch becomes on its way to the collector, and what became of it.
//!
//! `encode` makes a request of it, `delivery` brings that to the collector by `transport` (one try) and `retry` (when
//! to try again), and `outcome` says how it ended.

mod connection;
mod delivery;
mod encode;
mod outcome;
mod retry;
mod transport;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use serde::Serialize;

use super::counter::Counter;
use super::sdk_metrics::Component;
use crate::config::{Compression, Otlp, Protocol};

pub(super) use connection::Connection;
pub(crate) use connection::install_crypto_provider;
pub(super) use delivery::Delivery;
pub(super) use outcome::{Delivered, Failure, Outcome, Reason};
pub(super) use transport::Transport;

/// Exports one signal and counts its items. The SDK's traits are implemented beside each signal's processor.
#[derive(Debug)]
pub(super) struct OtlpExporter {
    protocol: Protocol,
    compression: Compression,
    delivery: Delivery,
    counter: Arc<Counter>,
    component: Arc<Component>,
    resource: ResourceAttributesWithSchema,
}

impl OtlpExporter {
    pub(super) fn new(
        otlp: &Otlp,
        delivery: Delivery,
        counter: Arc<Counter>,
        component: Arc<Component>,
    ) -> Self {
        Self {
            protocol: otlp.protocol,
            compression: otlp.compression,
            delivery,
            counter,
            component,
            resource: ResourceAttributesWithSchema::default(),
        }
    }

    pub(super) fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }

    pub(super) fn resource(&self) -> &ResourceAttributesWithSchema {
        &self.resource
    }

    /// Items leave the queue; what [`OtlpExporter::export`] is called with soon.
    pub(super) fn taken(&self, items: usize) {
        self.counter.taken(items);
    }

    /// Items that no queue held are to be exported.
    pub(super) fn collected(&self, items: usize) {
        self.counter.collected(items);
        self.counter.taken(items);
    }

    /// Sends a request with so many items and counts what became of them.
    pub(super) async fn export<R: Message + Serialize>(&self, items: usize, request: R) -> OTelSdkResult {
        let body = encode::request(&request, self.protocol);
        drop(request);
        self.send(items, body).await
    }

    /// [`OtlpExporter::export`] of spans, which need no messages on their way to protobuf.
    pub(super) async fn export_spans(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        if self.protocol == Protocol::Json {
            let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
            return self.export(spans, ExportTraceServiceRequest { resource_spans }).await;
        }
        let body = encode::spans(&batch, &self.resource);
        drop(batch);
        self.send(spans, Ok(body)).await
    }

    async fn send(&self, items: usize, body: std::io::Result<Vec<u8>>) -> OTelSdkResult {
        let body = body.and_then(|body| encode::compressed(body, self.compression));
        let delivered = match body {
            Ok(body) => self.delivery.deliver(body.into()).await,
            Err(error) => Delivered::at_once(Failure::encoding(&error).into()),
        };
        let result = match &delivered.outcome {
            Outcome::Failed(failure) => Err(OTelSdkError::InternalFailure(failure.message.clone())),
            Outcome::Accepted { .. } | Outcome::PartlyRejected { .. } => Ok(()),
        };
        self.component.exported(&delivered);
        self.counter.settled(items, delivered);
        result
    }
}
