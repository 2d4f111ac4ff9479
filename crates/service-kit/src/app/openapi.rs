//! The OpenAPI document: collected from the routes, completed with what holds for all of them.
//!
//! A route documents the answers that are its own. What it may answer besides follows from what it takes: a token, a
//! body, a query, a part of the path. So there is no `default` answer that would hide one that nobody thought of.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::admission::EXEMPT;
use crate::Service;
use crate::problem::{self, ProblemDocument};

/// Where the document is.
pub(super) const PATH: &str = "/api-docs/openapi.json";

const USER_TOKEN: &str = "user_token";
const SERVICE_TOKEN: &str = "service_token";

/// The document of a service before its routes are collected.
pub(super) fn base<S: Service>() -> OpenApi {
    OpenApiBuilder::new().info(InfoBuilder::new().title(S::NAME).version(S::VERSION).build()).build()
}

/// Adds the security schemes, and to every operation what it may answer besides what its route says.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    components.add_security_scheme(USER_TOKEN, bearer("The access token that a login gave."));
    components
        .add_security_scheme(SERVICE_TOKEN, bearer("The token that one service makes to call another."));
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            add_problems(path, operation);
        }
    }
}

fn bearer(description: &str) -> SecurityScheme {
    let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    SecurityScheme::Http(http.description(Some(description)).build())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.head, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .flatten()
}

fn add_problems(path: &str, operation: &mut Operation) {
    let mut answers: Vec<(u16, &str)> = Vec::new();
    if !EXEMPT.contains(&path) {
        answers.push((503, "`overloaded`, or something that it needs gives no answer; `Retry-After`"));
        answers.push((504, "`deadline_exceeded`: it took longer than it may"));
    }
    if asks_for(operation, USER_TOKEN) {
        answers.push((401, "`missing_token` or `invalid_token`"));
        answers.push((403, "`user_inactive`, or `not_an_admin` where only an admin may do this"));
    }
    if asks_for(operation, SERVICE_TOKEN) {
        answers.push((401, "`missing_service_token` or `invalid_service_token`"));
    }
    if takes(operation, &ParameterIn::Path) {
        answers.push((404, "There is no such thing"));
        answers.push((400, "`invalid_path`"));
    }
    if takes(operation, &ParameterIn::Query) {
        answers.push((400, "`invalid_query`"));
    }
    if operation.request_body.is_some() {
        answers.push((400, "`invalid_json` or `invalid_body`"));
        answers.push((408, "`body_too_slow`"));
        answers.push((413, "`body_too_large`"));
        answers.push((415, "`unsupported_media_type`"));
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in answers {
        let response = || ResponseBuilder::new().description(description).build().into();
        responses.entry(status.to_string()).or_insert_with(response);
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && (status.starts_with('4') || status.starts_with('5'))
            && response.content.is_empty()
        {
            response.content.insert(problem::MEDIA_TYPE.to_owned(), problem().into());
        }
    }
}

fn takes(operation: &Operation, place: &ParameterIn) -> bool {
    let parameters = operation.parameters.iter().flatten();
    parameters
        .filter_map(|one| if let RefOr::T(one) = one { Some(one) } else { None })
        .any(|one| one.parameter_in == *place)
}

fn asks_for(operation: &Operation, scheme: &str) -> bool {
    let requirements = operation.security.iter().flatten();
    // The type tells its names to serde alone.
    requirements.filter_map(|one| serde_json::to_value(one).ok()).any(|one| one.get(scheme).is_some())
}

fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name()))).build()
}
