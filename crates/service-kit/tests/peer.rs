//! Calling a peer through a real socket, in good and in bad hours.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service_kit::peer::{Peer, PeerConfig, PeerError};
use service_kit::token::ServiceTokens;
use telemetry_core::context;
use telemetry_core::testing::TestTelemetry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the fake peer does with a request.
enum Step {
    Answer(u16, &'static str, Value),
    Garbage,
    Hang,
    HangUp,
    /// Hangs up, and is not there any more.
    Die,
}

/// A peer that follows a script, one request a connection, and keeps what it was asked.
struct FakePeer {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakePeer {
    async fn following(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut script: VecDeque<Step> = script.into_iter().collect();
        let seen = requests.clone();
        context::spawn(async move {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                seen.lock().unwrap().push(request);
                match script.pop_front().expect("no more requests than the script has steps") {
                    Step::Answer(status, headers, body) => {
                        answer(&mut stream, status, headers, &body.to_string()).await
                    }
                    Step::Garbage => answer(&mut stream, 200, "", "<html>").await,
                    Step::Hang => hanging.push(stream),
                    Step::HangUp => {}
                    Step::Die => break,
                }
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length || read == 0 {
                return text;
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
}

fn peer_at(url: &str, timeout: Duration) -> (Peer, TestTelemetry) {
    let telemetry = TestTelemetry::new();
    let config = PeerConfig { name: "user-service", url: url.parse().unwrap(), timeout };
    let tokens = ServiceTokens::new("order-service", &"shared".into());
    (Peer::new(config, &telemetry, tokens), telemetry)
}

const LONG: Duration = Duration::from_secs(20);

fn unavailable() -> Step {
    Step::Answer(503, "", json!({ "status": 503, "code": "database_unavailable" }))
}

#[actix_web::test]
async fn a_call_says_who_calls_for_whom_and_in_which_trace() {
    let fake = FakePeer::following([Step::Answer(200, "", json!({ "name": "Ada" }))]).await;
    let (peer, telemetry) = peer_at(&fake.url, LONG);
    let call =
        peer.post("/users/{id}/notes").parameter("a/b c").json(&json!({ "note": 1 })).on_behalf_of("u1");
    let answer: Value = call.send().await.unwrap();
    assert_eq!(answer["name"], "Ada");

    let request = &fake.requests()[0];
    assert!(request.starts_with("POST /base/users/a%2Fb%20c/notes HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with(r#"{"note":1}"#), "{request}");
    assert_eq!(header(request, "content-type"), Some("application/json"));
    let token = header(request, "authorization").unwrap().strip_prefix("Bearer ").unwrap();
    let caller = ServiceTokens::new("user-service", &"shared".into()).check(token).unwrap();
    assert_eq!((caller.service.as_str(), caller.user_id.as_deref()), ("order-service", Some("u1")));
    let span = telemetry.spans().remove(0);
    assert_eq!(span.name, "POST /users/{id}/notes");
    assert!(header(request, "traceparent").unwrap().contains(&span.span_context.span_id().to_string()));
}

#[actix_web::test]
async fn a_peer_outside_gets_no_token_of_ours() {
    let fake = FakePeer::following([Step::Answer(200, "", Value::Null)]).await;
    let config = PeerConfig { name: "gateway", url: fake.url.parse().unwrap(), timeout: LONG };
    let () = Peer::outside(config, &TestTelemetry::new()).get("/").send().await.unwrap();
    assert_eq!(header(&fake.requests()[0], "authorization"), None);
}

#[actix_web::test]
async fn a_refusal_keeps_its_code_and_is_not_repeated() {
    let problem = json!({ "status": 409, "code": "out_of_stock", "detail": "Not enough of it is left." });
    let fake = FakePeer::following([Step::Answer(409, "", problem)]).await;
    let (peer, _telemetry) = peer_at(&fake.url, LONG);
    let error = peer.get("/").send::<Value>().await.unwrap_err();
    let PeerError::Rejected { status: 409, code, detail, .. } = &error else { panic!("{error:?}") };
    assert_eq!((code.as_str(), detail.as_str()), ("out_of_stock", "Not enough of it is left."));
    assert!(!error.may_have_happened() && !error.is_retryable());
    assert_eq!(fake.requests().len(), 1);
}

#[actix_web::test]
async fn a_refusal_without_a_document_has_its_status_for_a_code() {
    let fake = FakePeer::following([Step::Answer(404, "", Value::Null)]).await;
    let (peer, _telemetry) = peer_at(&fake.url, LONG);
    assert_eq!(peer.get("/").send::<Value>().await.unwrap_err().code(), Some("http_404"));
}

#[actix_web::test]
async fn what_is_safe_to_repeat_is_repeated_until_it_goes_well() {
    let script = || [unavailable(), Step::HangUp, Step::Answer(200, "", json!(7))];
    let fake = FakePeer::following(script()).await;
    let (peer, telemetry) = peer_at(&fake.url, LONG);
    assert_eq!(peer.get("/").send::<u8>().await.unwrap(), 7);
    assert_eq!(fake.requests().len(), 3);
    let resends: Vec<_> = telemetry
        .spans()
        .iter()
        .map(|span| {
            span.attributes
                .iter()
                .find(|a| a.key.as_str() == "http.request.resend_count")
                .map(|a| a.value.clone())
        })
        .collect();
    assert_eq!(resends, [None, Some(1_i64.into()), Some(2_i64.into())]);

    let fake = FakePeer::following(script()).await;
    let (peer, _telemetry) = peer_at(&fake.url, LONG);
    assert_eq!(peer.post("/").idempotent().send::<u8>().await.unwrap(), 7);
}

#[actix_web::test]
async fn what_may_have_happened_is_not_repeated_unless_it_is_idempotent() {
    for (step, variant) in
        [(unavailable(), "Unavailable"), (Step::HangUp, "Interrupted"), (Step::Garbage, "Garbled")]
    {
        let fake = FakePeer::following([step]).await;
        let (peer, _telemetry) = peer_at(&fake.url, LONG);
        let error = peer.post("/").send::<Value>().await.unwrap_err();
        assert!(format!("{error:?}").starts_with(variant), "{error:?}");
        assert!(error.may_have_happened(), "{error:?}");
        assert_eq!(fake.requests().len(), 1, "{error:?}");
    }
}

#[actix_web::test]
async fn a_peer_that_fails_every_time_is_left_alone_after_three_tries() {
    let fake = FakePeer::following([unavailable(), unavailable(), unavailable()]).await;
    let (peer, _telemetry) = peer_at(&fake.url, LONG);
    let error = peer.get("/").send::<Value>().await.unwrap_err();
    assert!(matches!(error, PeerError::Unavailable { status: 503, .. }), "{error:?}");
    assert_eq!(error.code(), Some("database_unavailable"));
    assert_eq!(fake.requests().len(), 3);
}

#[actix_web::test]
async fn a_peer_that_asks_for_time_gets_it_or_is_given_up() {
    let busy = |seconds| Step::Answer(503, seconds, Value::Null);
    let fake = FakePeer::following([busy("Retry-After: 1\r\n"), Step::Answer(200, "", json!(7))]).await;
    let (peer, _telemetry) = peer_at(&fake.url, LONG);
    let start = Instant::now();
    assert_eq!(peer.get("/").send::<u8>().await.unwrap(), 7);
    assert!(start.elapsed() >= Duration::from_secs(1));

    let fake = FakePeer::following([busy("Retry-After: 60\r\n")]).await;
    let (peer, _telemetry) = peer_at(&fake.url, LONG);
    let start = Instant::now();
    peer.get("/").send::<Value>().await.unwrap_err();
    assert!(start.elapsed() < LONG, "it waited although the deadline would have passed");
}

#[actix_web::test]
async fn a_peer_that_hangs_is_given_up_at_the_deadline() {
    let fake = FakePeer::following([Step::Hang]).await;
    let (peer, telemetry) = peer_at(&fake.url, LONG);
    let error = peer.get("/").within(Duration::from_millis(200)).send::<Value>().await.unwrap_err();
    assert!(matches!(error, PeerError::Timeout { .. }), "{error:?}");
    assert!(error.may_have_happened());
    let timed_out = telemetry_core::opentelemetry::KeyValue::new("error.type", "timeout");
    assert!(telemetry.spans()[0].attributes.contains(&timed_out), "{:?}", telemetry.spans());
}

#[actix_web::test]
async fn a_peer_that_is_not_there_did_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (peer, telemetry) = peer_at(&url, LONG);
    let error = peer.post("/charges").send::<Value>().await.unwrap_err();
    assert!(matches!(error, PeerError::Unreachable { .. }), "{error:?}");
    assert!(!error.may_have_happened() && error.is_retryable());
    assert_eq!(telemetry.spans().len(), 3, "what never arrived is tried again");
}

#[actix_web::test]
async fn a_peer_that_died_on_the_first_try_may_have_done_it_although_the_last_one_never_arrived() {
    let fake = FakePeer::following([Step::Die]).await;
    let (peer, telemetry) = peer_at(&fake.url, LONG);
    let error = peer.post("/").idempotent().send::<()>().await.unwrap_err();
    assert_eq!(telemetry.spans().len(), 3, "it was tried again");
    assert!(matches!(error, PeerError::Interrupted { .. }) && error.may_have_happened(), "{error:?}");
}

#[actix_web::test]
async fn a_peer_is_told_how_long_its_caller_waits_and_not_asked_when_that_is_over() {
    let fake = FakePeer::following([Step::Answer(200, "", json!(null))]).await;
    let (peer, _) = peer_at(&fake.url, LONG);
    let soon = tokio::time::Instant::now() + Duration::from_secs(5);
    service_kit::deadline::within(Some(soon), peer.get("/").send::<()>()).await.unwrap();
    let told: u64 = header(&fake.requests()[0], "x-request-timeout-ms").unwrap().parse().unwrap();
    assert!((1..=5_000).contains(&told), "{told}");

    let now = tokio::time::Instant::now();
    let error = service_kit::deadline::within(Some(now), peer.get("/").send::<()>()).await.unwrap_err();
    assert!(matches!(error, PeerError::Timeout { .. }), "{error:?}");
    assert_eq!(fake.requests().len(), 1, "nobody is asked for what nobody waits for");
}
