//! Standard output for tests.

use std::io::Write;
use std::sync::{Arc, Mutex};

/// A writer that can be read.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    /// What was written since the last time.
    pub(super) fn text(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().expect("no panic"))).expect("UTF-8")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
