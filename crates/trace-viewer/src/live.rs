//! Server-sent events: what is held, told when something has arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream;
use tokio::sync::watch;

use crate::{Problem, Store};

/// At most so often is a follower told; what arrives meanwhile is told together.
const PACE: Duration = Duration::from_millis(500);

/// A follower that hears nothing for this long may take the connection for lost.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Each holds a connection, and those are for senders too.
const MAX_FOLLOWERS: usize = 64;

/// Who follows, and whether they still may.
#[derive(Debug)]
pub(crate) struct Live {
    followers: Arc<AtomicUsize>,
    stopping: watch::Receiver<bool>,
}

impl Live {
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { followers: Arc::default(), stopping }
    }
}

struct Follower {
    store: web::Data<Store>,
    arrivals: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    is_first: bool,
    followers: Arc<AtomicUsize>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `GET /api/live`: a `status` event at once, and after arrivals, with the document of
/// `GET /api/status`.
pub(crate) async fn follow(store: web::Data<Store>, live: web::Data<Live>) -> Result<HttpResponse, Problem> {
    let followers = Arc::clone(&live.followers);
    if followers.fetch_add(1, Ordering::Relaxed) >= MAX_FOLLOWERS {
        followers.fetch_sub(1, Ordering::Relaxed);
        let detail = format!("{MAX_FOLLOWERS} pages follow already");
        return Err(Problem::new(
            actix_web::http::StatusCode::SERVICE_UNAVAILABLE,
            "too_many_followers",
            detail,
        ));
    }
    let arrivals = store.arrivals();
    let follower = Follower { arrivals, store, stopping: live.stopping.clone(), is_first: true, followers };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(event)), follower))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(events))
}

impl Follower {
    /// The next event; none once the viewer stops.
    async fn next(&mut self) -> Option<String> {
        if std::mem::take(&mut self.is_first) {
            return Some(self.tell());
        }
        let Self { arrivals, stopping, .. } = self;
        let mut stopped = stopping.clone();
        let stopped = stopped.wait_for(|stopping| *stopping);
        tokio::select! {
            // Also where the sender is gone: nobody can stop it later.
            _ = stopped => None,
            event = async {
                let arrived = tokio::time::timeout(HEARTBEAT, arrivals.changed()).await;
                match arrived {
                    Err(_) => Some(false),
                    Ok(Ok(())) => {
                        tokio::time::sleep(PACE).await;
                        arrivals.mark_unchanged();
                        Some(true)
                    }
                    Ok(Err(_)) => None,
                }
            } => event.map(|arrived| if arrived { self.tell() } else { ": still here\n\n".to_owned() }),
        }
    }

    fn tell(&self) -> String {
        let status = serde_json::to_string(&self.store.status()).expect("a status is numbers and text");
        format!("event: status\ndata: {status}\n\n")
    }
}
