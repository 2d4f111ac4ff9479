//! Where a panic came from: its message travels with it, its place and its backtrace are told to the hook alone.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};

thread_local! {
    /// The place of this thread's last panic that nobody has taken yet.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes the place of each panic, beside what the hook before did. The backtrace is noted where the process asks for
/// backtraces (`RUST_BACKTRACE`): making one takes milliseconds.
pub(crate) fn note_places() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        note(panic);
        before(panic);
    }));
}

fn note(panic: &PanicHookInfo<'_>) {
    let mut place = panic.location().map(|location| format!("at {location}")).unwrap_or_default();
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        place.push_str(&format!("\n{backtrace}"));
    }
    // A panic while the thread ends is told to nobody.
    let _ = PLACE.try_with(|last| last.replace(Some(place)));
}

/// The place of the panic that was just caught on this thread; `None` where none was noted.
pub(crate) fn take_place() -> Option<String> {
    PLACE.try_with(RefCell::take).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_is_noted_with_its_place_once() {
        note_places();
        let line = line!() + 1;
        catch_unwind(|| panic!("invariant broken")).unwrap_err();
        let place = take_place().expect("the hook has seen it");
        assert!(place.starts_with(&format!("at {}:{line}:", file!())), "{place}");
        assert_eq!(place.contains("panics::tests"), std::env::var_os("RUST_BACKTRACE").is_some(), "{place}");
        assert_eq!(take_place(), None);
    }
}
