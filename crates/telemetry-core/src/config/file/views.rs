//! `meter_provider.views` of the file.

use opentelemetry_sdk::metrics::{Aggregation, InstrumentKind};

use super::Settings;
use super::field::{Field, Map};
use crate::config::View;

const KINDS: [(&str, InstrumentKind); 7] = [
    ("counter", InstrumentKind::Counter),
    ("gauge", InstrumentKind::Gauge),
    ("histogram", InstrumentKind::Histogram),
    ("observable_counter", InstrumentKind::ObservableCounter),
    ("observable_gauge", InstrumentKind::ObservableGauge),
    ("observable_up_down_counter", InstrumentKind::ObservableUpDownCounter),
    ("up_down_counter", InstrumentKind::UpDownCounter),
];

/// The schema's default.
const BOUNDARIES: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

pub(super) fn read_views(settings: &mut Settings, list: &Field<'_>) {
    for item in settings.list(list) {
        let mistakes = settings.mistakes.len();
        let view = read_view(settings, &item);
        // What is wrong in it was told, and need not be told in other words.
        if settings.mistakes.len() == mistakes
            && let Err(error) = view.check()
        {
            settings.refuse(&item, &format!("a view that makes a stream ({error})"));
        }
        settings.views.push(view);
    }
}

fn read_view(settings: &mut Settings, item: &Field<'_>) -> View {
    let map = settings.map(item, &["selector", "stream"]);
    let mut view = View::default();
    let (Some(selector), Some(stream)) = (map.get("selector"), map.get("stream")) else {
        settings.refuse(item, "a selector and a stream");
        return view;
    };
    let keys =
        ["instrument_name", "instrument_type", "unit", "meter_name", "meter_version", "meter_schema_url"];
    let selected = settings.map(&selector, &keys);
    view.instrument_name = text(settings, &selected, "instrument_name");
    view.unit = text(settings, &selected, "unit");
    view.meter_name = text(settings, &selected, "meter_name");
    view.meter_version = text(settings, &selected, "meter_version");
    view.meter_schema_url = text(settings, &selected, "meter_schema_url");
    if let Some(field) = selected.get("instrument_type") {
        view.instrument_kind =
            KINDS.iter().find(|(name, _)| field.text() == Some(*name)).map(|(_, kind)| *kind);
        if view.instrument_kind.is_none() {
            settings.refuse(&field, &format!("one of {}", KINDS.map(|(name, _)| name).join(", ")));
        }
    }
    if let Some(field) =
        selected.get("instrument_name").filter(|field| field.text().unwrap_or_default().contains('?'))
    {
        settings.refuse(&field, "no ?, only * for any run of characters");
    }

    let keys = ["name", "description", "aggregation", "aggregation_cardinality_limit", "attribute_keys"];
    let said = settings.map(&stream, &keys);
    view.name = text(settings, &said, "name");
    view.description = text(settings, &said, "description");
    if let Some(field) = said.get("name")
        && view.instrument_name.as_ref().is_none_or(|name| name.contains('*'))
    {
        // The specification has such views fail: the streams would be in each other's way.
        settings.refuse(&field, "to be absent, or a selector of one instrument by its name");
    }
    if let Some(field) = said.get("aggregation_cardinality_limit") {
        view.cardinality_limit = whole(settings, &field, 1, 1_000_000);
    }
    if let Some(field) = said.get("attribute_keys") {
        let keys = settings.map(&field, &["included", "excluded"]);
        settings.unsupported(keys.get("excluded"), "the SDK has a list of those that are kept alone");
        if let Some(included) = keys.get("included") {
            let items = settings.list(&included);
            let names: Vec<String> = items.iter().filter_map(Field::text).map(str::to_owned).collect();
            if names.len() < items.len() || names.iter().any(|name| name.contains(['*', '?'])) {
                settings.refuse(&included, "a list of texts without * and ?");
            }
            view.attribute_keys = Some(names);
        }
    }
    view.aggregation = said.get("aggregation").and_then(|field| read_aggregation(settings, &field));
    view
}

fn read_aggregation(settings: &mut Settings, field: &Field<'_>) -> Option<Aggregation> {
    const AMONG: &str =
        "default, drop, explicit_bucket_histogram, base2_exponential_bucket_histogram, last_value or sum";
    let choice = settings.choice(field, AMONG)?;
    let known: &[&str] = match choice.key() {
        "default" | "drop" | "last_value" | "sum" => &[],
        "explicit_bucket_histogram" => &["boundaries", "record_min_max"],
        "base2_exponential_bucket_histogram" => &["max_scale", "max_size", "record_min_max"],
        _ => {
            settings.refuse(&choice, AMONG);
            return None;
        }
    };
    let map = settings.map(&choice, known);
    let record_min_max = map.get("record_min_max").is_none_or(|field| {
        field.boolean().unwrap_or_else(|| {
            settings.refuse(&field, "true or false, without quotes");
            true
        })
    });
    match choice.key() {
        "drop" => Some(Aggregation::Drop),
        "last_value" => Some(Aggregation::LastValue),
        "sum" => Some(Aggregation::Sum),
        "explicit_bucket_histogram" => {
            let boundaries = match map.get("boundaries") {
                None => BOUNDARIES.to_vec(),
                Some(field) => {
                    let items = settings.list(&field);
                    let numbers: Vec<f64> = items.iter().filter_map(Field::number).collect();
                    if numbers.len() < items.len() || !numbers.is_sorted_by(|one, next| one < next) {
                        settings.refuse(&field, "numbers without quotes, each greater than the one before");
                    }
                    numbers
                }
            };
            Some(Aggregation::ExplicitBucketHistogram { boundaries, record_min_max })
        }
        "base2_exponential_bucket_histogram" => {
            let scale = map.get("max_scale").and_then(|field| whole(settings, &field, -10_i8, 20));
            let size = map.get("max_size").and_then(|field| whole(settings, &field, 2_u32, 16_384));
            Some(Aggregation::Base2ExponentialHistogram {
                max_scale: scale.unwrap_or(20),
                max_size: size.unwrap_or(160),
                record_min_max,
            })
        }
        // What the instrument says.
        _ => None,
    }
}

fn text(settings: &mut Settings, map: &Map<'_>, key: &str) -> Option<String> {
    let field = map.get(key)?;
    if field.text().is_none() {
        settings.refuse(&field, "a text");
    }
    field.text().map(str::to_owned)
}

fn whole<T: TryFrom<i64> + PartialOrd + std::fmt::Display>(
    settings: &mut Settings,
    field: &Field<'_>,
    least: T,
    most: T,
) -> Option<T> {
    let number = field.integer().and_then(|number| T::try_from(number).ok());
    let number = number.filter(|number| (&least..=&most).contains(&number));
    if number.is_none() {
        settings.refuse(field, &format!("a whole number from {least} to {most}, without quotes"));
    }
    number
}
