//! The OpenAPI document: collected from the routes, completed with what holds for all of them.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::Service;
use crate::problem::{self, ProblemDocument};

/// Where the document is.
pub(super) const PATH: &str = "/api-docs/openapi.json";

/// The document of a service before its routes are collected.
pub(super) fn base<S: Service>() -> OpenApi {
    OpenApiBuilder::new().info(InfoBuilder::new().title(S::NAME).version(S::VERSION).build()).build()
}

/// Adds the security schemes, and to every operation the problem document that it may answer with.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    components.add_security_scheme("user_token", bearer("The access token that a login gave."));
    components
        .add_security_scheme("service_token", bearer("The token that one service makes to call another."));
    for item in document.paths.paths.values_mut() {
        add_problem(item);
    }
}

fn bearer(description: &str) -> SecurityScheme {
    let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    SecurityScheme::Http(http.description(Some(description)).build())
}

fn add_problem(item: &mut PathItem) {
    let operations =
        [&mut item.get, &mut item.head, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    for operation in operations.into_iter().flatten() {
        let content =
            ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name()))).build();
        let response = ResponseBuilder::new()
            .description("A problem document: what went wrong, as a stable code and a sentence.")
            .content(problem::MEDIA_TYPE, content)
            .build();
        operation.responses.responses.insert("default".to_owned(), response.into());
    }
}
