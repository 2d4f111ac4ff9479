//! Traces as text: what they look like, and what no trace can make them do.
//!
//! `UPDATE_SNAPSHOTS=1` writes the files under `snapshots/` anew; look at them before they go in.

mod hostile;
mod sample;
mod shape;

use std::fs;
use std::path::Path;

use sample::{declined_order, placed_order};
use trace_viewer::model::Trace;
use trace_viewer::{RenderOptions, render_trace};

fn plain(trace: &Trace, width: usize) -> String {
    render_trace(trace, &RenderOptions { width, colour: false })
}

fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} is no longer\n{expected}\nbut\n{text}");
}

#[test]
fn a_placed_order_reads_well_on_any_terminal() {
    for width in [80, 100, 140] {
        assert_snapshot(&format!("placed_{width}.txt"), &plain(&placed_order(), width));
    }
}

#[test]
fn a_declined_order_tells_its_errors_in_words() {
    assert_snapshot("declined_100.txt", &plain(&declined_order(), 100));
}

#[test]
fn colours_add_nothing_but_colours() {
    let coloured = render_trace(&declined_order(), &RenderOptions { width: 100, colour: true });
    assert_snapshot("declined_100.ansi", &coloured);
    let mut without = String::new();
    for (position, piece) in coloured.split('\u{1b}').enumerate() {
        without.push_str(if position == 0 { piece } else { piece.split_once('m').unwrap().1 });
    }
    assert_eq!(without, plain(&declined_order(), 100));
}
