//! Which text a scraper gets.

#[cfg(feature = "actix")]
use actix_web::HttpMessage;
#[cfg(feature = "actix")]
use actix_web::http::header::{Accept, Header as _, Quality};
#[cfg(feature = "actix")]
use actix_web::mime::Mime;

/// The text formats of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Prometheus' text exposition format 0.0.4, which whoever asks for nothing else gets. It has no exemplars.
    #[default]
    Text,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
}

impl Format {
    /// The format that a request's `Accept` headers prefer: OpenMetrics where they name it in version 1.0.0, or in
    /// none, and like nothing that the other text is better.
    ///
    /// ```
    /// use actix_web::test::TestRequest;
    /// use telemetry_core::prometheus::Format;
    ///
    /// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    /// let request = TestRequest::get().insert_header(("accept", prometheus)).to_http_request();
    /// assert_eq!(Format::accepted_by(&request), Format::OpenMetrics);
    /// assert_eq!(Format::accepted_by(&TestRequest::get().to_http_request()), Format::Text);
    /// ```
    #[cfg(feature = "actix")]
    #[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
    pub fn accepted_by(request: &impl HttpMessage) -> Self {
        let ranges = Accept::parse(request).unwrap_or_else(|_| Accept(Vec::new())).0;
        let best = |is_it: fn(&Mime) -> bool| {
            let fitting = ranges.iter().filter(|range| is_it(&range.item));
            fitting.map(|range| range.quality).max().unwrap_or(Quality::ZERO)
        };
        let open_metrics = best(is_open_metrics);
        if open_metrics > Quality::ZERO && open_metrics >= best(is_text) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The media type of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => super::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(feature = "actix")]
fn is_open_metrics(range: &Mime) -> bool {
    range.essence_str() == "application/openmetrics-text" && is_version(range, "1.0.0")
}

#[cfg(feature = "actix")]
fn is_text(range: &Mime) -> bool {
    matches!(range.essence_str(), "*/*" | "text/*")
        || (range.essence_str() == "text/plain" && is_version(range, "0.0.4"))
}

#[cfg(feature = "actix")]
fn is_version(range: &Mime, version: &str) -> bool {
    range.get_param("version").is_none_or(|asked| asked == version)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let table: [(&[&str], Format); 14] = [
            (&[], Format::Text),
            (&[""], Format::Text),
            (&["*/*"], Format::Text),
            (&["text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"], Format::Text),
            (&["application/openmetrics-text"], Format::OpenMetrics),
            (&["Application/OpenMetrics-Text; version=1.0.0"], Format::OpenMetrics),
            (&["application/openmetrics-text;version=0.0.1"], Format::Text),
            (&["application/openmetrics-text;version=0.0.1,*/*"], Format::Text),
            (&["application/openmetrics-text;version=1.0.0;q=0"], Format::Text),
            (&["application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.7"], Format::Text),
            (&["text/plain", "application/openmetrics-text; version=1.0.0"], Format::OpenMetrics),
            (&["text/plain;version=1.0.0,application/openmetrics-text;q=0.1"], Format::OpenMetrics),
            // Prometheus 3 with its default settings.
            (
                &[concat!(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,",
                    "application/openmetrics-text;version=0.0.1;q=0.4,",
                    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
                )],
                Format::OpenMetrics,
            ),
            (&["application/openmetrics-text;version=1.0.0;q=nonsense,;;,\u{fffd}"], Format::Text),
        ];
        for (lines, format) in table {
            let request = lines
                .iter()
                .fold(TestRequest::get(), |request, line| request.append_header(("accept", line.as_bytes())));
            assert_eq!(Format::accepted_by(&request.to_http_request()), format, "{lines:?}");
        }
    }
}
