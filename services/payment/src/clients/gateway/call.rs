//! One request to the gateway and its answer, read with suspicion.

use http::Extensions;
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry_core::client::UrlTemplate;

use super::{CHARGES, GatewayClient, GatewayError};

/// The gateway's answers are a few fields; an answer without end must not fill the memory.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        // serde's error could repeat what the gateway sent.
        serde_json::from_slice(&self.body).map_err(|_| GatewayError::Garbled)
    }
}

impl GatewayClient {
    pub(super) async fn call(
        &self,
        method: Method,
        template: &'static str,
        parameters: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<Answer, GatewayError> {
        let request = self.request(method, template, parameters, body);
        let mut extensions = Extensions::new();
        extensions.insert(UrlTemplate(template));
        let exchange = async {
            let response =
                self.client.execute_with_extensions(request, &mut extensions).await.map_err(transport)?;
            let status = response.status();
            let body = read(response).await?;
            // No call of ours ends well with one of these.
            if status.is_server_error() {
                Err(GatewayError::Unexpected(status))
            } else {
                Ok(Answer { status, body })
            }
        };
        let breaker = if template == CHARGES { &self.charging } else { &self.settling };
        breaker.call(exchange, GatewayError::is_its_fault).await
    }

    fn request(
        &self,
        method: Method,
        template: &'static str,
        parameters: &[&str],
        body: Option<&impl Serialize>,
    ) -> Request {
        let mut url = self.config.url.clone();
        let mut parameters = parameters.iter();
        {
            let mut segments = url.path_segments_mut().expect("a peer's URL has a host, so it has a path");
            segments.pop_if_empty();
            for segment in template.trim_start_matches('/').split('/') {
                let parameter = if segment.starts_with('{') { parameters.next() } else { None };
                segments.push(parameter.copied().unwrap_or(segment));
            }
        }
        let mut request = Request::new(method, url);
        // The client's own timeout, not one around it: so the try's span learns what happened.
        *request.timeout_mut() = Some(self.config.timeout);
        if let Some(body) = body {
            let body = serde_json::to_vec(body).expect("wire types have text keys only, so they are JSON");
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.into());
        }
        request
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, GatewayError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(error.into()))? {
        if body.len() + chunk.len() > ANSWER_LIMIT_BYTES {
            return Err(GatewayError::Garbled);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn transport(error: reqwest_middleware::Error) -> GatewayError {
    let error = error.without_url();
    // First: a connection that was not made in time was not made either.
    if error.is_connect() {
        GatewayError::Unreachable(error)
    } else if error.is_timeout() {
        GatewayError::Timeout
    } else {
        GatewayError::Interrupted(error)
    }
}
