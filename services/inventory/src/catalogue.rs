//! Importing products, with its progress on a span.

use telemetry_core::opentelemetry::trace::TraceContextExt as _;
use telemetry_core::opentelemetry::{Context, KeyValue};
use telemetry_core::span;

use crate::domain::{NewProduct, ProductId};
use crate::error::DATABASE_ERROR;
use crate::metrics::Metrics;
use crate::store::{Chunk, InsertProductsError, Products};

/// Products by statement. Their 700 values are far below what a statement may have (SQLite 32766), and
/// a catalogue is tens of statements, not thousands.
const CHUNK_SIZE: usize = 100;

#[derive(Clone)]
pub(crate) struct Catalogue {
    products: Products,
    metrics: Metrics,
}

impl Catalogue {
    pub(crate) fn new(products: Products, metrics: Metrics) -> Self {
        Self { products, metrics }
    }

    /// Imports all of these products or none, and gives their ids in the same order.
    pub(crate) async fn import(
        &self,
        products: Vec<NewProduct>,
    ) -> Result<Vec<ProductId>, InsertProductsError> {
        let imported = self.process_dataset(products).await?;
        self.metrics.count_imported(imported.len());
        tracing::info!(products = imported.len(), "imported products");
        Ok(imported)
    }

    #[tracing::instrument(skip_all)]
    async fn process_dataset(
        &self,
        products: Vec<NewProduct>,
    ) -> Result<Vec<ProductId>, InsertProductsError> {
        span::set_attribute("dataset.size", attribute(products.len()));
        span::add_event("Processing started", vec![]);
        let mut processed = 0;
        // Progress is the dataset's, not the transaction's, whose span is current where it is made.
        let dataset = Context::current();
        let progress = move |Chunk { index, size }| {
            processed += size;
            dataset.span().add_event(
                "Chunk processed",
                vec![
                    KeyValue::new("chunk.index", attribute(index)),
                    KeyValue::new("chunk.size", attribute(size)),
                    KeyValue::new("total.processed", attribute(processed)),
                ],
            );
        };
        let outcome = self.products.insert_all(products, CHUNK_SIZE, progress).await;
        match &outcome {
            Ok(imported) => {
                span::set_attribute("dataset.processed", attribute(imported.len()));
                span::add_event("Processing completed", vec![]);
            }
            Err(InsertProductsError::SkusTaken(_)) => span::fail("SKU taken"),
            Err(InsertProductsError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome
    }
}

/// A count as spans have it: signed.
fn attribute(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
