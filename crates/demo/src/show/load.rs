//! `--load`: how the orders fare, drawn anew every second on a terminal, a line a second elsewhere.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use trace_viewer::RenderOptions;

use super::{Switches, say};
use crate::stage::Desk;
use crate::traffic::{Numbers, Outcome, Tally};

/// Tells the numbers for as long as it is polled.
pub(super) async fn tell(tally: &Tally, asked: f64, desk: &Desk, rendering: &RenderOptions, in_place: bool) {
    let mut report = interval(Duration::from_secs(1));
    report.set_missed_tick_behavior(MissedTickBehavior::Delay);
    report.tick().await;
    let (mut drawn, mut switches) = (0, Switches::default());
    loop {
        report.tick().await;
        if switches.tell(desk.on()) {
            // What was drawn stays above it.
            drawn = 0;
        }
        let numbers = tally.numbers();
        if in_place {
            let lines = lines(&numbers, asked, rendering);
            say(redraw(&lines, drawn));
            drawn = lines.len();
        } else {
            say(line(&numbers));
        }
    }
}

/// The lines in place of the `drawn` ones above the cursor.
fn redraw(lines: &[String], drawn: usize) -> String {
    // Up to the first of them, and each cleared to its end: a longer one may have stood there.
    let up = if drawn == 0 { String::new() } else { format!("\u{1b}[{drawn}A\r") };
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\u{1b}[K")).collect();
    format!("{up}{}", lines.join("\n"))
}

/// All of it as one line, for a file or a pipe.
fn line(numbers: &Numbers) -> String {
    let times = match numbers.percentiles {
        Some([p50, p95, p99]) => format!("p50 {}, p95 {}, p99 {}", time(p50), time(p95), time(p99)),
        None => "no answers".to_owned(),
    };
    format!(
        "{:.1} orders/s, {times}, {:.1} % failed ({}), {} in flight, {} since the start",
        numbers.rate,
        100.0 * numbers.failures(),
        outcomes(numbers).collect::<Vec<_>>().join(", "),
        numbers.in_flight,
        numbers.total
    )
}

/// The same over three lines, none wider than the terminal.
fn lines(numbers: &Numbers, asked: f64, rendering: &RenderOptions) -> Vec<String> {
    let times = match numbers.percentiles {
        Some([p50, p95, p99]) => {
            format!("p50 {:>8}   p95 {:>8}   p99 {:>8}", time(p50), time(p95), time(p99))
        }
        None => "none yet".to_owned(),
    };
    let failures = numbers.failures();
    let plain = [
        (
            "orders ",
            format!(
                "{:.1}/s of {asked}/s asked for   {} in flight   {} since the start",
                numbers.rate, numbers.in_flight, numbers.total
            ),
            false,
        ),
        ("latency", times, false),
        (
            "answers",
            format!(
                "{:.1} % failed   {}",
                100.0 * failures,
                outcomes(numbers).collect::<Vec<_>>().join("   ")
            ),
            failures > 0.0,
        ),
    ];
    let line = |(title, text, is_bad): (&str, String, bool)| {
        // Letters that stand for one column each; one column is left free, where terminals would wrap.
        let room = rendering.width.saturating_sub(title.len() + 3);
        let text: String = text.chars().take(room).collect();
        match (rendering.colour, is_bad) {
            (false, _) => format!("{title}  {text}"),
            (true, false) => format!("\u{1b}[2m{title}\u{1b}[0m  {text}"),
            (true, true) => format!("\u{1b}[2m{title}\u{1b}[0m  \u{1b}[31m{text}\u{1b}[0m"),
        }
    };
    plain.into_iter().map(line).collect()
}

fn outcomes(numbers: &Numbers) -> impl Iterator<Item = String> {
    numbers.outcomes.iter().map(|(outcome, count)| {
        let outcome = match outcome {
            Outcome::Status(status) => status.to_string(),
            Outcome::NoAnswer => "no answer".to_owned(),
            Outcome::NotSent => "not sent".to_owned(),
        };
        format!("{count} × {outcome}")
    })
}

fn time(of: Duration) -> String {
    let ms = of.as_secs_f64() * 1e3;
    if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1e3) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn numbers() -> Numbers {
        Numbers {
            rate: 19.8,
            in_flight: 3,
            total: 1234,
            percentiles: Some([14, 22, 2500].map(Duration::from_millis)),
            outcomes: BTreeMap::from([
                (Outcome::Status(201), 150),
                (Outcome::Status(402), 48),
                (Outcome::NotSent, 2),
            ]),
        }
    }

    #[test]
    fn a_pipe_gets_one_plain_line() {
        assert_eq!(
            line(&numbers()),
            "19.8 orders/s, p50 14.0 ms, p95 22.0 ms, p99 2.50 s, 25.0 % failed (150 × 201, 48 × 402, 2 × not sent), \
             3 in flight, 1234 since the start"
        );
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_and_colours_only_where_it_wants_them() {
        for width in [20, 40, 80, 200] {
            for line in lines(&numbers(), 20.0, &RenderOptions { width, colour: false }) {
                assert!(line.chars().count() < width, "{width}: {line}");
                assert!(!line.contains('\u{1b}'), "{line}");
            }
        }
        let coloured = lines(&numbers(), 20.0, &RenderOptions { width: 80, colour: true });
        assert!(coloured[2].contains("\u{1b}[31m25.0 % failed"), "{coloured:?}");
    }

    #[test]
    fn what_is_drawn_again_begins_where_it_began_before() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(redraw(&lines, 0), "a\u{1b}[K\nb\u{1b}[K");
        assert_eq!(redraw(&lines, 2), "\u{1b}[2A\ra\u{1b}[K\nb\u{1b}[K");
    }
}
