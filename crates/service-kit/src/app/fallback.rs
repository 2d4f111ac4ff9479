//! What no handler answers: unknown paths, wrong methods, and errors without a document.

use std::rc::Rc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ResourceDef, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use utoipa::openapi::{OpenApi, PathItem};

use crate::Problem;
use crate::problem::{self, code};

/// Every path of the application with its methods, from its own OpenAPI document.
#[derive(Clone)]
pub(super) struct KnownPaths(Rc<[(ResourceDef, String)]>);

impl KnownPaths {
    pub(super) fn of(document: &OpenApi) -> Self {
        Self(
            document
                .paths
                .paths
                .iter()
                .map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item).join(", ")))
                .collect(),
        )
    }

    /// Answers a request that no route took: 405 with `Allow` where only the method is wrong, 404 otherwise.
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
        (&item.get, Method::GET),
        (&item.post, Method::POST),
        (&item.put, Method::PUT),
        (&item.patch, Method::PATCH),
        (&item.delete, Method::DELETE),
        (&item.head, Method::HEAD),
        (&item.options, Method::OPTIONS),
    ]
    .into_iter()
    .filter(|(operation, _)| operation.is_some())
    .map(|(_, method)| match method {
        Method::GET => "GET",
        _ => "",
    })
    .collect()
}

/// Gives an error answer that has no problem document one. Its headers (`Allow`, challenges, CORS) stay.
pub(super) fn with_document<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_problem(response.headers().get(header::CONTENT_TYPE)) {
        return response.map_into_left_body();
    }
    let document = generic(status).error_response();
    response.map_into_right_body_of(document)
}

fn is_problem(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(problem::MEDIA_TYPE.as_bytes()))
}

fn generic(status: StatusCode) -> Problem {
    todo!()
}
