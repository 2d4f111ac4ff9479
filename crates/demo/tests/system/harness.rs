//! Systems for the tests: one for each database, shared by the tests that break nothing, and ones of
//! their own for the tests that do.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use demo::parts::Part;
use demo::shop::{Placed, Shop};
use demo::system::{Plan, System};
use demo::traces::Traces;
use service_kit::db::{Connection, DatabaseUrl};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};
use trace_viewer::model::{Span, SpanStatus, Trace};

/// How long the telemetry of an order may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);

/// The gateway's slowest answer is later than this.
pub(crate) const GATEWAY_TIMEOUT: Duration = Duration::from_millis(1500);

/// Where the services keep their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// Each claim as a test, on SQLite and, where `TEST_POSTGRES_URL` is set, on PostgreSQL.
macro_rules! on_both_databases {
    ($($claim:ident)*) => {
        mod sqlite {
            $(#[test]
            fn $claim() {
                super::run(super::$claim(super::Backend::Sqlite));
            })*
        }
        mod postgres {
            $(#[test]
            #[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
            fn $claim() {
                super::run(super::$claim(super::Backend::Postgres));
            })*
        }
    };
}
pub(crate) use on_both_databases;

/// A running system with its shop.
pub(crate) struct TestSystem {
    pub(crate) system: System,
    pub(crate) shop: Shop,
    pub(crate) traces: Traces,
    data: TempDir,
    /// With `{service}` in it.
    database_url: String,
}

impl TestSystem {
    /// A system for one test alone.
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::start_with(backend, GATEWAY_TIMEOUT, &[]).await
    }

    /// The same with another patience for the gateway, whose slowest answer is still later, and with more
    /// variables.
    pub(crate) async fn start_with(
        backend: Backend,
        gateway_timeout: Duration,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut all = vec![
            ("GATEWAY_TIMEOUT_MS".to_owned(), gateway_timeout.as_millis().to_string()),
            ("GATEWAY_SLOW_MS".to_owned(), (gateway_timeout * 4).as_millis().to_string()),
        ];
        all.extend(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let data = tempfile::Builder::new().prefix("order-system-test-").tempdir().expect("a folder");
        let database_url = match backend {
            Backend::Sqlite => format!("sqlite://{}/{{service}}.db", data.path().display()),
            Backend::Postgres => make_databases(),
        };
        let plan = Plan {
            program: PathBuf::from(env!("CARGO_BIN_EXE_demo")),
            data: data.path().to_owned(),
            database_url: (backend == Backend::Postgres).then(|| database_url.clone()),
            default_ports: false,
            variables: all,
        };
        let system = System::start(plan, |_| ()).await.expect("the system starts");
        let shop = Shop::open(&system).await.expect("the shop opens");
        let traces = Traces::new(system.url(Part::Viewer), system.client().clone());
        Self { system, shop, traces, data, database_url }
    }

    /// Runs a statement in a service's database.
    pub(crate) fn execute(&self, part: Part, sql: &str) -> usize {
        let url = self.database_url.replace("{service}", part.name()).parse().expect("a URL");
        let mut connection = Connection::open(&url).expect("the database is there");
        diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut connection)
            .expect("a statement that is right")
    }

    /// Everything that a process has printed.
    pub(crate) fn printed(&self, part: Part) -> String {
        let path = self.data.path().join("logs").join(format!("{}.log", part.name()));
        std::fs::read_to_string(path).expect("what a process prints goes to a file")
    }

    /// The whole trace of an order.
    pub(crate) async fn trace(&self, placed: &Placed) -> Trace {
        self.traces.settled(placed.trace_id, ARRIVAL).await.expect("the trace arrives")
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// Runs a test on the runtime that the shared systems live on.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

/// The shared system of this backend. Its processes end with this one, whose end they see.
pub(crate) async fn shared(backend: Backend) -> &'static TestSystem {
    static SQLITE: OnceCell<TestSystem> = OnceCell::const_new();
    static POSTGRES: OnceCell<TestSystem> = OnceCell::const_new();
    let cell = match backend {
        Backend::Sqlite => &SQLITE,
        Backend::Postgres => &POSTGRES,
    };
    cell.get_or_init(|| TestSystem::start(backend)).await
}

/// A database for each service, new, on the server at `TEST_POSTGRES_URL`; answers the URL with
/// `{service}` in it.
pub(crate) fn make_databases() -> String {
    let url = std::env::var("TEST_POSTGRES_URL").expect("needs a PostgreSQL server at TEST_POSTGRES_URL");
    let (server, _) = url.rsplit_once('/').expect("TEST_POSTGRES_URL names a database");
    let run = uuid::Uuid::now_v7().simple().to_string();
    let parsed: DatabaseUrl = url.parse().expect("TEST_POSTGRES_URL is a URL");
    let mut connection = Connection::open(&parsed).expect("PostgreSQL at TEST_POSTGRES_URL answers");
    for service in ["user", "inventory", "payment", "order"] {
        diesel::RunQueryDsl::execute(
            diesel::sql_query(format!("CREATE DATABASE test_{run}_{service}")),
            &mut connection,
        )
        .expect("the role at TEST_POSTGRES_URL may create databases");
    }
    format!("{server}/test_{run}_{{service}}")
}

/// Compares the trace with the outline of this name under `outlines/`, whole. With `UPDATE_OUTLINES` set
/// the file is written instead: read the difference before it is committed.
pub(crate) fn assert_outline(trace: &Trace, name: &str) {
    let path = format!("{}/tests/system/outlines/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_OUTLINES").is_some() {
        std::fs::write(&path, outline(trace)).expect("the outline can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the outline is there");
    let found = outline(trace);
    assert!(found == expected, "{name} is\n{found}\nand should be\n{expected}");
}

/// The trace as lines, a span each, indented by depth: service, kind, name, and an error's text.
pub(crate) fn outline(trace: &Trace) -> String {
    let mut text = String::new();
    let roots = trace
        .spans
        .iter()
        .filter(|span| span.parent_span_id.is_none_or(|parent| trace.span(parent).is_none()));
    for root in roots {
        write_outline(trace, root, 0, &mut text);
    }
    text
}

fn write_outline(trace: &Trace, span: &Span, depth: usize, text: &mut String) {
    let service = span.service.trim_end_matches("-service");
    let kind = format!("{:?}", span.kind).to_uppercase();
    let error = match &span.status {
        SpanStatus::Error { description } => format!(" ERROR {description:?}"),
        SpanStatus::Unset | SpanStatus::Ok => String::new(),
    };
    let indent = "  ".repeat(depth);
    writeln!(text, "{indent}{service} {kind} {}{error}", span.name).expect("a string takes it");
    // Whether a connection had to be waited for depends on what other tests do meanwhile.
    for child in trace.children_of(span.span_id).filter(|span| span.name != "wait_for_connection") {
        write_outline(trace, child, depth + 1, text);
    }
}

/// The only span of this name.
pub(crate) fn span_named<'a>(trace: &'a Trace, name: &str) -> &'a Span {
    let found: Vec<&Span> = trace.spans.iter().filter(|span| span.name == name).collect();
    match found[..] {
        [span] => span,
        _ => panic!("{} spans named {name} in:\n{}", found.len(), outline(trace)),
    }
}

/// Asks for an order's events with this header.
pub(crate) async fn watch(
    test: &TestSystem,
    order_id: &str,
    (name, value): (&'static str, String),
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Box<tungstenite::Error>> {
    let url = format!("{}/api/orders/{order_id}/events", test.system.url(Part::Order));
    let mut request = url.replacen("http", "ws", 1).into_client_request().expect("a URL");
    request.headers_mut().insert(name, value.parse().expect("a header's value"));
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// Waits until `condition` holds; fails after thirty seconds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited thirty seconds for: {what}");
}
