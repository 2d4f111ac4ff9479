//! What the command prints on a terminal: one of its own, made by script(1), which every Debian has.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process};

use crate::endings::children_of;

/// The demo with these arguments on a terminal so many columns wide.
fn on_terminal(columns: usize, arguments: &str, no_color: bool) -> Child {
    let demo = env!("CARGO_BIN_EXE_demo");
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(format!("stty rows 40 cols {columns}; exec {demo} --free-ports {arguments}"))
        .arg("/dev/null")
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.spawn().expect("script(1) of util-linux is there")
}

/// What is left when the sequences that colour, clear and move are taken out.
fn without_sequences(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(letter);
        }
    }
    plain
}

fn widest_of_trees(text: &str) -> usize {
    let rows = text.lines().filter(|line| line.contains(['│', '├', '└']));
    rows.map(|row| row.trim_end().chars().count()).max().expect("a tree was drawn")
}

fn printed_once(columns: usize, no_color: bool) -> String {
    let mut output = String::new();
    let mut child = on_terminal(columns, "--once", no_color);
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert!(child.wait().unwrap().success(), "{output}");
    output
}

#[test]
fn trees_are_coloured_and_no_wider_than_the_terminal() {
    let output = printed_once(72, false);
    assert!(output.contains("\u{1b}["), "no colour in:\n{output}");
    let plain = without_sequences(&output);
    assert!(widest_of_trees(&plain) <= 72, "{plain}");
    assert!(plain.contains("order-service") || plain.contains("order "), "{plain}");
}

#[test]
fn no_color_is_honoured() {
    let output = printed_once(120, true);
    assert!(!output.contains('\u{1b}'), "colours in:\n{output}");
    let widest = widest_of_trees(&output);
    assert!((101..=120).contains(&widest), "{widest} of 120 columns are used:\n{output}");
}

#[test]
fn the_numbers_of_a_load_are_drawn_over_those_before() {
    let mut child = on_terminal(64, "--load 20", false);
    let mut stdout = child.stdout.take().unwrap();
    let (mut output, mut chunk) = (Vec::new(), [0; 4096]);
    // Drawn once, and twice over that.
    while output.windows(4).filter(|bytes| *bytes == b"\x1b[3A").count() < 2 {
        let read = stdout.read(&mut chunk).unwrap();
        assert!(read > 0, "it ended:\n{}", String::from_utf8_lossy(&output));
        output.extend_from_slice(&chunk[..read]);
    }
    // Not by its terminal: whoever ignores hang-ups (nohup, say) has it live on when that goes.
    let [demo] = children_of(child.id())[..] else { panic!("script(1) has one child") };
    kill_process(demo, Signal::INT).unwrap();
    stdout.read_to_end(&mut Vec::new()).unwrap();
    assert!(child.wait().unwrap().success());
    let output = String::from_utf8_lossy(&output);
    let (_, numbers) = output.split_once("Ctrl-C stops everything.").expect("the demo is ready");
    let plain = without_sequences(numbers);
    for told in ["orders", "latency", "p95", "answers", "× 201", "% failed"] {
        assert!(plain.contains(told), "no {told} in:\n{plain}");
    }
    assert!(plain.lines().all(|line| line.trim_end().chars().count() < 64), "{plain}");
}
