use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use service_kit::testing::TestApp;
