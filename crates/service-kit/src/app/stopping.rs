//! Telling everything in the process that it is going down.

use tokio::sync::watch;

/// Whether the process was asked to stop. Cheap to clone; every clone sees the same.
///
/// A task that runs as long as the process waits for it beside its own work:
///
/// ```
/// # async fn recover_orders() {}
/// # async fn example(stopping: service_kit::app::Stopping) {
/// loop {
///     tokio::select! {
///         () = stopping.requested() => break,
///         () = tokio::time::sleep(std::time::Duration::from_secs(5)) => recover_orders().await,
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Stopping {
    sender: watch::Sender<bool>,
}

impl Stopping {
    pub(crate) fn new() -> Self {
        Self { sender: watch::Sender::new(false) }
    }

    pub(crate) fn request(&self) {
        self.sender.send_replace(true);
    }

    /// Whether stopping has begun.
    pub fn is_requested(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until stopping begins.
    pub async fn requested(&self) {
        let mut receiver = self.sender.subscribe();
        // Fails only without a sender, and this is one.
        let _ = receiver.wait_for(|requested| *requested).await;
    }
}
