//! The application's own code inside the instrumentation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::span::{PANIC, panic_message};

/// Functions of one kind, run in the order they were added. One that panics costs no request: the panic is
/// caught, and logged the first time.
pub(crate) struct Hooks<F: ?Sized> {
    hooks: Vec<Arc<F>>,
    has_panicked: Arc<AtomicBool>,
}

impl<F: ?Sized> Hooks<F> {
    pub(crate) fn push(&mut self, hook: Arc<F>) {
        self.hooks.push(hook);
    }

    pub(crate) fn run(&self, call: impl Fn(&F)) {
        for hook in &self.hooks {
            self.guarded(|| call(hook));
        }
    }

    /// Whether all of them say yes; one that panics does not.
    #[cfg(feature = "actix")]
    pub(crate) fn agree(&self, ask: impl Fn(&F) -> bool) -> bool {
        self.hooks.iter().all(|hook| self.guarded(|| ask(hook)).unwrap_or(false))
    }

    fn guarded<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(call))
            .inspect_err(|panic| {
                if !self.has_panicked.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        exception.type = PANIC,
                        exception.message = &*panic_message(&**panic),
                        "a telemetry hook panicked; later panics are not logged"
                    );
                }
            })
            .ok()
    }
}

impl<F: ?Sized> Default for Hooks<F> {
    fn default() -> Self {
        Self { hooks: Vec::new(), has_panicked: Arc::default() }
    }
}

impl<F: ?Sized> Clone for Hooks<F> {
    fn clone(&self) -> Self {
        Self { hooks: self.hooks.clone(), has_panicked: self.has_panicked.clone() }
    }
}
