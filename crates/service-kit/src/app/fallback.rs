//! What no handler answers: unknown paths, wrong methods, and errors without a document.

use actix_web::HttpRequest;
use actix_web::body::MessageBody;
use actix_web::dev::{ResourceDef, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, body::BoxBody};
use utoipa::openapi::{OpenApi, PathItem};

use crate::Problem;
use crate::problem::{self, code};

/// Every path of the application with its methods, from its own OpenAPI document.
pub(super) struct KnownPaths(Vec<(ResourceDef, String)>);

impl KnownPaths {
    pub(super) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter();
        Self(paths.map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item).join(", "))).collect())
    }

    /// Answers a request that no route took: 405 with `Allow` where only the method is wrong, else 404.
    pub(super) fn refuse(&self, request: &HttpRequest) -> Problem {
        let known = self.0.iter().find(|(path, _)| path.is_match(request.path()));
        let Some(allow) = known.and_then(|(_, methods)| HeaderValue::from_str(methods).ok()) else {
            return Problem::new(StatusCode::NOT_FOUND, code::UNKNOWN_PATH, "There is nothing at this path.");
        };
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            code::METHOD_NOT_ALLOWED,
            "This path does not take this method; the Allow header names those it takes.",
        )
        .with_header(header::ALLOW, allow)
    }
}

fn methods(item: &PathItem) -> Vec<&'static str> {
    [
        (&item.get, "GET"),
        (&item.head, "HEAD"),
        (&item.post, "POST"),
        (&item.put, "PUT"),
        (&item.patch, "PATCH"),
        (&item.delete, "DELETE"),
        (&item.options, "OPTIONS"),
    ]
    .into_iter()
    .filter_map(|(operation, method)| operation.as_ref().map(|_| method))
    .collect()
}

/// Gives an error answer that has no problem document one; its headers (`Allow`, CORS) stay.
pub(super) fn with_document<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_problem(response.headers().get(header::CONTENT_TYPE)) {
        return response.map_into_boxed_body();
    }
    let (request, bare) = response.into_parts();
    let mut documented = HttpResponse::from_error(generic(status));
    for (name, value) in bare.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            documented.headers_mut().insert(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, documented)
}

fn is_problem(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(problem::MEDIA_TYPE.as_bytes()))
}

/// The document for a status that came without one, from actix-web or a middleware.
fn generic(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(status, code::UNKNOWN_PATH, "There is nothing at this path."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(status, code::METHOD_NOT_ALLOWED, "This path does not take this method.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, code::BODY_TOO_LARGE, "The body has more bytes than this path takes.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new(status, code::UNSUPPORTED_MEDIA_TYPE, "The body's media type is not taken here.")
        }
        status if status.is_client_error() => {
            Problem::new(status, code::INVALID_REQUEST, "The request cannot be handled as it is.")
        }
        status => Problem::new(status, code::INTERNAL_ERROR, "Something went wrong here."),
    }
}
