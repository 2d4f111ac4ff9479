//! OTLP exporters, and a pass-through around each that counts what becomes of its items.

use std::sync::Arc;

use opentelemetry_otlp::{
    Compression as OtlpCompression, Protocol as OtlpProtocol, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;

use super::counter::Counter;
use super::delivery::Delivery;
use crate::config::{Compression, Otlp, Protocol};

/// The exporter's builder with the settings. Headers are not given here: the exporter would decode them once more. The delivery adds them.
pub(super) fn configured<B: WithExportConfig + WithHttpConfig>(
    builder: B,
    otlp: &Otlp,
    delivery: &Arc<Delivery>,
) -> B {
    let builder = builder
        .with_endpoint(otlp.endpoint.to_string())
        .with_protocol(match otlp.protocol {
            Protocol::Protobuf => OtlpProtocol::HttpBinary,
            Protocol::Json => OtlpProtocol::HttpJson,
        })
        .with_timeout(delivery.timeout())
        .with_shared_http_client(delivery.clone());
    match otlp.compression {
        Compression::None => builder,
        Compression::Gzip => builder.with_compression(OtlpCompression::Gzip),
    }
}

/// An exporter whose items are counted. The traits are implemented beside each signal's processor.
#[derive(Debug)]
pub(super) struct Counted<E> {
    pub(super) exporter: E,
    pub(super) counter: Arc<Counter>,
    delivery: Arc<Delivery>,
}

impl<E> Counted<E> {
    pub(super) fn new(exporter: E, counter: Arc<Counter>, delivery: Arc<Delivery>) -> Self {
        Self { exporter, counter, delivery }
    }

    /// Runs an export of `items` and counts its outcome.
    pub(super) async fn export(
        &self,
        items: usize,
        export: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        self.counter.taken(items);
        self.delivery.begin();
        let result = export.await;
        let outcome = self.delivery.outcome();
        match &result {
            Ok(()) => {
                let rejected = outcome.rejected.min(items as u64);
                let refused = (rejected > 0).then(|| "refused by the collector".to_owned());
                self.counter.settled(items, rejected, outcome.message.or(refused));
            }
            Err(error) => {
                let message = outcome.message.unwrap_or_else(|| error.to_string());
                self.counter.settled(items, items as u64, Some(message));
            }
        }
        result
    }
}
