//! Uploading a catalogue: CSV or JSON lines, read as it comes, so that its size is no matter of memory.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read};

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, post, web};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service_kit::app::body_too_slow;
use service_kit::problem::code;
use service_kit::user::Admin;
use service_kit::{Problem, deadline};
use telemetry_core::context;
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::import::{ImportedProduct, RowError, check_row};
use crate::catalogue::{CHUNK_SIZE, Catalogue};
use crate::domain::NewProduct;
use crate::error;

/// A hundred thousand products of the usual size.
const BODY_LIMIT_BYTES: usize = 16 * 1024 * 1024;
const ROW_LIMIT: usize = 100_000;
/// Longer than any product.
const LINE_LIMIT_BYTES: u64 = 16 * 1024;
/// How many mistakes an answer tells; it counts the rest.
const ERROR_LIMIT: usize = 100;
/// Parts of the body that wait to be read. The network waits for the rest.
const PARTS_AHEAD: usize = 4;

/// What is to become of the good rows where others are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnError {
    /// None is imported.
    #[default]
    Abort,
    /// They are imported, and the answer names the others.
    Skip,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// What is to become of the good rows where others are not: with `abort` (the default) all are imported or none,
    /// with `skip` each by itself.
    #[param(inline)]
    on_error: Option<OnError>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct UploadResponse {
    /// How many products were imported.
    imported: usize,
    /// How many rows were not.
    rejected: usize,
    /// Why, a hundred times at the most.
    errors: Vec<RowError>,
}

/// Imports products from CSV (with a header: sku, name, category, price_minor, currency, stock) or from JSON lines.
///
/// Rows count from 1, without the header. With `on_error=skip` what was imported before the body broke off stays.
#[utoipa::path(
    tag = "catalogue",
    params(UploadQuery),
    request_body(content(
        (String = "text/csv", example = "sku,name,category,price_minor,currency,stock\nLAMP-02,Floor lamp,lighting,9900,EUR,10\n"),
        (String = "application/x-ndjson", example = "{\"sku\":\"LAMP-03\",\"name\":\"Lamp\",\"category\":\"lighting\",\"price_minor\":4900,\"currency\":\"EUR\",\"stock\":5}\n"),
    )),
    responses(
        (status = 200, body = UploadResponse),
        (status = 409, description = "`sku_taken`; `skus` names them. Nothing was imported"),
        (status = 413, description = "`body_too_large`: more than 16 MiB or 100000 rows"),
        (status = 415, description = "`unsupported_media_type`: neither text/csv nor application/x-ndjson"),
        (status = 422, description = "`validation_failed`; `errors` names each mistake's row and field. Nothing was imported"),
    ),
    security(("user_token" = ["admin"])),
)]
#[post("/import")]
pub(super) async fn upload_products(
    Admin(user): Admin,
    catalogue: web::Data<Catalogue>,
    request: HttpRequest,
    query: web::Query<UploadQuery>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let format = Format::of(&request)?;
    let (parts, body) = mpsc::channel(PARTS_AHEAD);
    let (rows, batches) = mpsc::channel(1);
    let reading = context::blocking(move || read_rows(format, Body::new(body), &rows));
    let on_error = query.on_error.unwrap_or_default();
    let importing = async {
        match on_error {
            OnError::Abort => import_all(&catalogue, batches).await,
            OnError::Skip => import_each(&catalogue, batches).await,
        }
    };
    let work = async {
        // Whoever ends first for a reason of its own drops its end of the channel, which ends the others.
        let (fed, read, imported) = tokio::join!(feed(payload, parts), reading, importing);
        fed?;
        read?;
        imported
    };
    // How long it takes is a matter of its size: the body's own pace is what bounds it.
    let response = context::with_baggage(user.baggage(), deadline::within(None, work)).await?;
    Ok(HttpResponse::Ok().json(response))
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "text/csv" => Ok(Self::Csv),
            "application/x-ndjson" | "application/jsonl" => Ok(Self::JsonLines),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                code::UNSUPPORTED_MEDIA_TYPE,
                "The body must be CSV (text/csv) or JSON lines (application/x-ndjson), and say so.",
            )),
        }
    }
}

/// Hands the body on as it comes, and no more of it than may be.
async fn feed(mut payload: web::Payload, parts: mpsc::Sender<io::Result<Bytes>>) -> Result<(), Problem> {
    let mut bytes = 0;
    while let Some(part) = payload.next().await {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                // What reads is to end with an error too, and not as at the end of the body.
                let _ = parts.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                let is_slow = matches!(&error, actix_web::error::PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut);
                return Err(if is_slow {
                    body_too_slow()
                } else {
                    unreadable("The body could not be read to its end.")
                });
            }
        };
        bytes += part.len();
        if bytes > BODY_LIMIT_BYTES {
            let _ = parts.send(Err(io::ErrorKind::FileTooLarge.into())).await;
            return Err(too_large());
        }
        if parts.send(Ok(part)).await.is_err() {
            // Whoever reads has seen enough; they tell why.
            return Ok(());
        }
    }
    Ok(())
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        code::BODY_TOO_LARGE,
        format!("The body may have {BODY_LIMIT_BYTES} bytes and {ROW_LIMIT} rows."),
    )
}

fn unreadable(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code::INVALID_BODY, detail)
}

/// The body, to those who read without `await`.
struct Body {
    parts: mpsc::Receiver<io::Result<Bytes>>,
    rest: VecDeque<u8>,
}

impl Body {
    fn new(parts: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { parts, rest: VecDeque::new() }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.parts.blocking_recv() {
                Some(part) => self.rest.extend(part?),
                None => return Ok(0),
            }
        }
        self.rest.read(buffer)
    }
}

/// A part of the rows: the good ones, and what is wrong with the others.
#[derive(Default)]
struct Batch {
    /// Each with its row's number.
    products: Vec<(usize, NewProduct)>,
    rejected: usize,
    errors: Vec<RowError>,
}

/// Reads row by row and hands on what makes a chunk.
fn read_rows(format: Format, body: Body, batches: &mpsc::Sender<Batch>) -> Result<(), Problem> {
    match format {
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
            let rows = reader.deserialize::<ImportedProduct>().map(|row| match row {
                Ok(row) => Ok(Ok(row)),
                Err(error) => match error.kind() {
                    csv::ErrorKind::Io(_) => Err(unreadable("The body could not be read to its end.")),
                    _ => Ok(Err("this is no row of CSV with the columns sku, name, category, price_minor, currency and stock")),
                },
            });
            hand_on(rows, batches)
        }
        Format::JsonLines => {
            let mut reader = BufReader::new(body);
            let rows = std::iter::from_fn(|| {
                loop {
                    let mut line = Vec::new();
                    match reader.by_ref().take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line) {
                        Ok(0) => return None,
                        Ok(read) if read as u64 == LINE_LIMIT_BYTES && line.last() != Some(&b'\n') => {
                            return Some(Err(unreadable("A line is longer than 16384 bytes.")));
                        }
                        Ok(_) if line.trim_ascii().is_empty() => {}
                        Ok(_) => {
                            let row = serde_json::from_slice(&line);
                            return Some(Ok(
                                row.map_err(|_| "this is no JSON object with the fields of a product")
                            ));
                        }
                        Err(_) => return Some(Err(unreadable("The body could not be read to its end."))),
                    }
                }
            });
            hand_on(rows, batches)
        }
    }
}

/// `Err` ends the reading, `Ok(Err(…))` is a row that is none.
fn hand_on(
    rows: impl Iterator<Item = Result<Result<ImportedProduct, &'static str>, Problem>>,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), Problem> {
    let mut batch = Batch::default();
    for (index, row) in rows.enumerate() {
        if index == ROW_LIMIT {
            return Err(too_large());
        }
        let number = index + 1;
        let mut errors = Vec::new();
        let product = match row? {
            Ok(row) => check_row(number, &row, &mut errors),
            Err(detail) => {
                errors.push(RowError::new(number, "", detail));
                None
            }
        };
        match product {
            Some(product) => batch.products.push((number, product)),
            None => batch.rejected += 1,
        }
        if batch.errors.len() < ERROR_LIMIT {
            batch.errors.append(&mut errors);
        }
        if batch.products.len() + batch.rejected == CHUNK_SIZE
            && batches.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            // Whoever imports has had enough; they tell why.
            return Ok(());
        }
    }
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// All rows, or none.
async fn import_all(
    catalogue: &Catalogue,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<UploadResponse, Problem> {
    let mut whole = Batch::default();
    let mut first = std::collections::HashMap::new();
    while let Some(mut batch) = batches.recv().await {
        for (number, product) in batch.products {
            match first.entry(product.sku.as_str().to_owned()) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(number);
                    whole.products.push((number, product));
                }
                std::collections::hash_map::Entry::Occupied(_) => {
                    batch.rejected += 1;
                    batch.errors.push(RowError::new(number, "sku", error::SKU_TWICE));
                }
            }
        }
        whole.rejected += batch.rejected;
        whole.errors.append(&mut batch.errors);
        whole.errors.truncate(ERROR_LIMIT);
    }
    if whole.rejected > 0 {
        let detail = "Some rows break a rule; nothing was imported.";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code::VALIDATION_FAILED, detail)
            .with_extension("errors", json!(whole.errors))
            .with_extension("rejected", whole.rejected));
    }
    let products = whole.products.into_iter().map(|(_, product)| product).collect();
    let imported = catalogue.import(products).await?.len();
    Ok(UploadResponse { imported, rejected: 0, errors: Vec::new() })
}

/// Each chunk as it comes.
async fn import_each(
    catalogue: &Catalogue,
    batches: mpsc::Receiver<Batch>,
) -> Result<UploadResponse, Problem> {
    let mut response = UploadResponse { imported: 0, rejected: 0, errors: Vec::new() };
    let told = &mut response;
    let chunks = futures_util::stream::unfold(batches, async |mut batches| {
        let batch: Batch = batches.recv().await?;
        Some((batch, batches))
    });
    let chunks = chunks.map(|mut batch| {
        told.rejected += batch.rejected;
        told.errors.append(&mut batch.errors);
        told.errors.truncate(ERROR_LIMIT);
        batch.products
    });
    let report = catalogue.import_each(chunks).await?;
    response.imported = report.imported;
    response.rejected += report.taken.len();
    let taken = report.taken.into_iter().map(|(row, detail)| RowError::new(row, "sku", detail));
    response.errors.extend(taken.take(ERROR_LIMIT));
    response.errors.sort_by_key(RowError::row);
    response.errors.truncate(ERROR_LIMIT);
    Ok(response)
}
