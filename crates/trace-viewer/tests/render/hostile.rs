//! No name, attribute or width breaks the line or reaches the terminal as a command.

use trace_viewer::model::{SpanKind, Trace, Value};
use trace_viewer::{RenderOptions, render_trace};
use unicode_width::UnicodeWidthStr;

use super::plain;
use super::sample::{With, declined_order, placed_order, span, trace};

const HOSTILE: [&str; 6] = [
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\n\u{8}",
    "\u{202e}txet desrever\u{202c} \u{2066}isolate",
    "ｆｕｌｌ ｗｉｄｔｈ 日本語の名前はとても長いので切らなければならない",
    "👩‍👩‍👧‍👦👩‍👩‍👧‍👦☁️☁️ e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "",
    "a\u{0}b\u{7f}c\u{2028}d\u{feff}e",
];

fn hostile_trace() -> Trace {
    let spans = HOSTILE.iter().zip(1..).map(|(text, id)| {
        span(id, id - 1, text, text, SpanKind::Client, id, 10)
            .with("db.query.text", *text)
            .with("order.id", *text)
            .with(&format!("user.{text}"), Value::Array(vec![(*text).into(), 1.into()]))
            .event(5, text, &[(text, (*text).into())])
            .event(5, "exception", &[("exception.message", (*text).into())])
            .failed(text, text)
    });
    trace(spans.collect())
}

#[test]
fn no_control_character_gets_through() {
    let text = plain(&hostile_trace(), 120);
    let bad = text.chars().find(|letter| {
        (letter.is_control() && *letter != '\n')
            || matches!(*letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert_eq!(bad, None);
    // With colours, every escape is one of ours: digits and semicolons up to an `m`.
    let coloured = render_trace(&hostile_trace(), &RenderOptions { width: 120, colour: true });
    for piece in coloured.split('\u{1b}').skip(1) {
        let (sequence, _) = piece.split_once('m').unwrap();
        assert!(
            sequence
                .strip_prefix('[')
                .is_some_and(|codes| codes.bytes().all(|b| b.is_ascii_digit() || b == b';'))
        );
    }
}

#[test]
fn no_line_is_longer_than_the_width_however_narrow_or_wide() {
    let mut long =
        span(1, 0, &"service".repeat(50), &"name".repeat(500), SpanKind::Consumer, 0, u64::from(u32::MAX));
    long = long.with("http.response.status_code", i64::MIN).query(&"SELECT ".repeat(10_000));
    for trace in [placed_order(), declined_order(), hostile_trace(), trace(vec![long])] {
        for width in (0..=160).chain([400, 1_000]) {
            for line in plain(&trace, width).lines() {
                assert!(line.width() <= width, "{width}: {} columns in {line:?}", line.width());
                assert_eq!(line.trim_end(), line);
            }
        }
    }
}

#[test]
fn times_out_of_all_order_are_drawn() {
    let mut spans = vec![
        span(1, 0, "order-service", "ends before it starts", SpanKind::Server, 900, 100),
        span(2, 1, "order-service", "at the end of time", SpanKind::Server, 0, 0).event(0, "before all", &[]),
        span(3, 1, "order-service", "at the beginning of time", SpanKind::Server, 0, 0),
    ];
    (spans[1].start_unix_nano, spans[1].end_unix_nano) = (u64::MAX, u64::MAX);
    (spans[2].start_unix_nano, spans[2].end_unix_nano) = (0, 0);
    assert_eq!(plain(&trace(spans), 100).matches(" server ").count(), 3);
}

#[test]
fn megabytes_in_one_attribute_take_one_line() {
    let huge = "x".repeat(4 << 20);
    let spans = vec![
        span(1, 0, "order-service", &huge, SpanKind::Server, 0, 1)
            .query(&huge)
            .with("order.note", huge.as_str()),
    ];
    assert!(plain(&trace(spans), 100).len() < 2_000);
}
