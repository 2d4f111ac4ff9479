//! Names as Prometheus takes them, with the unit and the type that it expects in them.

/// What decides about a name's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instrument {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

/// `http.server.request.duration` in `s` becomes `http_server_request_duration_seconds`.
pub(super) fn family_name(name: &str, unit: &str, instrument: Instrument) -> String {
    const TOTAL: &str = "_total";
    let mut family = sanitized(name, |character| character.is_ascii_alphanumeric() || character == ':');
    if instrument == Instrument::Counter && family.ends_with(TOTAL) {
        family.truncate(family.len() - TOTAL.len());
    }
    // What follows brings its own `_`.
    if family.len() > 1 && family.ends_with('_') {
        family.pop();
    }
    let unit = unit_words(unit, instrument);
    if !unit.is_empty() && !family.ends_with(&format!("_{unit}")) {
        family.push('_');
        family += &unit;
    }
    if instrument == Instrument::Counter {
        family += TOTAL;
    }
    family
}

/// `http.route` becomes `http_route`.
pub(super) fn label_name(key: &str) -> String {
    sanitized(key, |character| character.is_ascii_alphanumeric())
}

/// Everything that is not allowed as `_`, never two in a row, and no digit in front. Never empty.
fn sanitized(name: &str, is_allowed: impl Fn(char) -> bool) -> String {
    let mut sanitized = String::with_capacity(name.len() + 1);
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        sanitized.push('_');
    }
    for character in name.chars() {
        if is_allowed(character) {
            sanitized.push(character);
        } else if !sanitized.ends_with('_') {
            sanitized.push('_');
        }
    }
    sanitized
}

/// A unit of UCUM in the words that Prometheus has for it: `By/s` is `bytes_per_second`. Empty for none, and for
/// what is only annotated (`{request}`).
pub(super) fn unit_words(unit: &str, instrument: Instrument) -> String {
    let unit = without_annotations(unit);
    let (unit, per) = unit.split_once('/').unwrap_or((&unit, ""));
    let (unit, per) = (unit.trim(), per.trim());
    let of = match unit {
        // Only a gauge of the unit `1` is sure to be a ratio: counters of things have it too.
        "1" if instrument == Instrument::Gauge && per.is_empty() => "ratio".to_owned(),
        "1" => String::new(),
        other => UNITS
            .iter()
            .find(|(short, _)| *short == other)
            .map_or_else(|| unit_word(other), |(_, word)| (*word).to_owned()),
    };
    let per = PER
        .iter()
        .find(|(short, _)| *short == per)
        .map_or_else(|| unit_word(per), |(_, word)| (*word).to_owned());
    match (of.as_str(), per.as_str()) {
        (_, "") => of,
        ("", per) => format!("per_{per}"),
        (of, per) => format!("{of}_per_{per}"),
    }
}

/// Without what stands in braces; a brace that stays open opens for all of the rest.
fn without_annotations(unit: &str) -> String {
    let mut is_inside = false;
    let mut kept = String::new();
    for character in unit.chars() {
        match character {
            '{' => is_inside = true,
            '}' => is_inside = false,
            other if !is_inside => kept.push(other),
            _ => {}
        }
    }
    kept
}

/// A unit that has no word of its own.
fn unit_word(unit: &str) -> String {
    if unit.is_empty() {
        return String::new();
    }
    let word = sanitized(unit, |character| character.is_ascii_alphanumeric());
    word.trim_matches('_').to_owned()
}

const UNITS: [(&str, &str); 30] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("bit", "bits"),
    ("By", "bytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("m", "meters"),
    ("km", "kilometers"),
    ("g", "grams"),
    ("kg", "kilograms"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("Hz", "hertz"),
    ("Cel", "celsius"),
    ("%", "percent"),
    ("wk", "weeks"),
    ("mo", "months"),
];

const PER: [(&str, &str); 8] = [
    ("s", "second"),
    ("ms", "millisecond"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("wk", "week"),
    ("mo", "month"),
    ("By", "byte"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use Instrument::{Counter, Gauge, Histogram, UpDownCounter};

    #[test]
    fn a_name_ends_with_its_unit_and_its_type() {
        for (name, unit, instrument, expected) in [
            ("http.server.request.duration", "s", Histogram, "http_server_request_duration_seconds"),
            ("http.server.request.body.size", "By", Histogram, "http_server_request_body_size_bytes"),
            ("http.server.active_requests", "{request}", UpDownCounter, "http_server_active_requests"),
            ("orders.created", "{order}", Counter, "orders_created_total"),
            ("orders.total", "", Counter, "orders_total"),
            ("orders.total", "", UpDownCounter, "orders_total"),
            ("cpu.time.total", "s", Counter, "cpu_time_seconds_total"),
            ("cpu.seconds", "s", Counter, "cpu_seconds_total"),
            ("seconds.until.noon", "s", Gauge, "seconds_until_noon_seconds"),
            ("cache.utilization", "1", Gauge, "cache_utilization_ratio"),
            ("hit.ratio", "1", Gauge, "hit_ratio"),
            ("requests", "1", Counter, "requests_total"),
            ("open", "1", UpDownCounter, "open"),
            ("disk.io", "By/s", Gauge, "disk_io_bytes_per_second"),
            ("requests.rate", "{request}/s", Gauge, "requests_rate_per_second"),
            ("rate", "1/s", Gauge, "rate_per_second"),
            ("each", "s/{request}", Gauge, "each_seconds"),
            ("delay", "ms", Histogram, "delay_milliseconds"),
            ("load", "%", Gauge, "load_percent"),
            ("loss", "dB[SPL]", Gauge, "loss_dB_SPL"),
            ("sold", "boxes", Counter, "sold_boxes_total"),
        ] {
            assert_eq!(family_name(name, unit, instrument), expected, "{name} in {unit:?}");
        }
    }

    #[test]
    fn every_name_becomes_one_that_prometheus_takes() {
        let odd = [
            "",
            "_",
            "1st",
            "a..b",
            "a.-/b",
            "größe",
            "a\nb",
            "a b{c=\"d\"}",
            ".",
            "日本",
            "__name__",
            "a:b",
            "-1",
        ];
        for name in odd {
            for unit in ["", "{", "}", "/", "//", "{a}/{b}", "\n", "1x", "µs", "\"", "1/1"] {
                for instrument in [Counter, UpDownCounter, Gauge, Histogram] {
                    let name = family_name(name, unit, instrument);
                    assert!(is_name(&name, |c| c == ':'), "{name:?}");
                }
            }
            let label = label_name(name);
            assert!(is_name(&label, |_| false) && !label.starts_with("__"), "{label:?}");
        }
        assert_eq!(family_name("a.-/b.", "", Histogram), "a_b");
        assert_eq!(label_name("1st"), "_1st");
        assert_eq!(label_name("größe"), "gr_e");
    }

    fn is_name(name: &str, also: impl Fn(char) -> bool) -> bool {
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || also(c);
        name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
    }
}
