//! Importing products, with its progress on a span.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::{Stream, StreamExt as _};
use service_kit::db::DatabaseError;
use telemetry_core::opentelemetry::trace::TraceContextExt as _;
use telemetry_core::opentelemetry::{Context, KeyValue};
use telemetry_core::span;

use crate::domain::{NewProduct, ProductId};
use crate::error::{DATABASE_ERROR, SKU_TWICE};
use crate::metrics::Metrics;
use crate::store::{Chunk, InsertProductsError, Products};

/// Products by statement. Their 700 values are far below what a statement may have (SQLite 32766), and
/// a catalogue is tens of statements, not thousands.
pub(crate) const CHUNK_SIZE: usize = 100;

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
        tracing::info!(dataset.processed = imported.len(), "imported products");
        Ok(imported)
    }

    /// Imports chunk after chunk of products, each with its row's number: those that are new. The rest is told.
    pub(crate) async fn import_each(
        &self,
        chunks: impl Stream<Item = Vec<(usize, NewProduct)>>,
    ) -> Result<ImportReport, DatabaseError> {
        let report = self.process_chunks(chunks).await?;
        self.metrics.count_imported(report.imported);
        tracing::info!(dataset.processed = report.imported, "imported products");
        Ok(report)
    }

    #[tracing::instrument(name = "process_dataset", skip_all)]
    async fn process_chunks(
        &self,
        chunks: impl Stream<Item = Vec<(usize, NewProduct)>>,
    ) -> Result<ImportReport, DatabaseError> {
        span::add_event("Processing started", vec![]);
        let (mut report, mut read) = (ImportReport::default(), 0);
        let mut chunks = pin!(chunks.enumerate());
        let outcome = loop {
            let Some((index, chunk)) = chunks.next().await else { break Ok(()) };
            let size = chunk.len();
            read += size;
            if let Err(error) = self.import_chunk(chunk, &mut report).await {
                break Err(error);
            }
            span::add_event(
                "Chunk processed",
                vec![
                    KeyValue::new("chunk.index", attribute(index)),
                    KeyValue::new("chunk.size", attribute(size)),
                    KeyValue::new("total.processed", attribute(report.imported)),
                ],
            );
        };
        // Only now is it known.
        span::set_attribute("dataset.size", attribute(read));
        match outcome {
            Ok(()) => {
                span::set_attribute("dataset.processed", attribute(report.imported));
                span::add_event("Processing completed", vec![]);
                Ok(report)
            }
            Err(error) => {
                span::record_error(&error, DATABASE_ERROR);
                Err(error)
            }
        }
    }

    async fn import_chunk(
        &self,
        chunk: Vec<(usize, NewProduct)>,
        report: &mut ImportReport,
    ) -> Result<(), DatabaseError> {
        let mut skus = HashSet::new();
        let (first, twice): (Vec<_>, Vec<_>) =
            chunk.into_iter().partition(|(_, product)| skus.insert(product.sku.as_str().to_owned()));
        report.taken.extend(twice.iter().map(|(row, _)| (*row, SKU_TWICE)));
        let (rows, products): (Vec<_>, Vec<_>) =
            first.into_iter().map(|(row, product)| ((row, product.sku.clone()), product)).unzip();
        let wanted = products.len();
        let taken = self.products.insert_new(products).await?;
        report.imported += wanted - taken.len();
        let known = rows.iter().filter(|(_, sku)| taken.contains(sku));
        report.taken.extend(known.map(|(row, _)| (*row, "there is a product of this SKU")));
        Ok(())
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

/// What became of products that were imported each by itself.
#[derive(Debug, Default)]
pub(crate) struct ImportReport {
    pub(crate) imported: usize,
    /// The rows whose SKU was there, and what that means for them.
    pub(crate) taken: Vec<(usize, &'static str)>,
}

/// A count as spans have it: signed.
fn attribute(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
