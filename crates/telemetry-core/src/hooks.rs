//! The application's own code inside the instrumentation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::span::panic_message;

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
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(hook)))
                && !self.has_panicked.swap(true, Ordering::Relaxed)
            {
                let message = panic_message(&*panic);
                tracing::error!(panic = &*message, "a telemetry hook panicked; later panics are not logged");
            }
        }
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
