//! The service of `subject` made of axum: `peer-axum bare`, or without the argument with axum-tracing-opentelemetry,
//! traces alone (it has no metrics), set up as its documentation says: both of its layers, and the preset for
//! production of init-tracing-opentelemetry.

use axum::extract::Path;
use axum::routing::get;
use axum::{BoxError, Json, Router};
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use init_tracing_opentelemetry::TracingConfig;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[derive(Serialize)]
struct Item {
    id: u64,
    name: &'static str,
    price: u64,
}

async fn item(Path(id): Path<u64>) -> Json<Item> {
    Json(Item { id, name: "a small thing", price: 1999 })
}

// One thread, as the one worker of the others.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let app = Router::new().route("/items/{id}", get(item));
    if std::env::args().nth(1).is_some_and(|mode| mode == "bare") {
        return serve(app).await;
    }
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    let _guard = TracingConfig::production().init_subscriber()?;
    serve(app.layer(OtelInResponseLayer).layer(OtelAxumLayer::default())).await
}

async fn serve(app: Router) -> Result<(), BoxError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let ended = async {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    axum::serve(listener, app).with_graceful_shutdown(ended).await?;
    Ok(())
}
