//! Attributes as labels.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;

use super::name;

/// Values by the names of labels.
pub(super) type Labels = BTreeMap<String, String>;

/// The labels of these attributes. Those with the name of a `reserved` one are called `exported_…`; values whose
/// names become the same are joined by `;`, in the order of their attributes' names.
pub(super) fn of(attributes: impl IntoIterator<Item = KeyValue>, reserved: &Labels) -> Labels {
    let mut attributes: Vec<KeyValue> = attributes.into_iter().collect();
    attributes.sort_by(|one, other| one.key.cmp(&other.key));
    let mut labels = Labels::new();
    for attribute in &attributes {
        let value = attribute.value.as_str();
        if value.is_empty() {
            continue;
        }
        let mut name = name::label_name(attribute.key.as_str());
        if reserved.contains_key(&name) {
            name.insert_str(0, "exported_");
        }
        labels
            .entry(name)
            .and_modify(|values| {
                values.push(';');
                values.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    labels
}

/// `name="value"`, separated by commas, sorted by name.
pub(super) fn text(labels: &Labels) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        if !text.is_empty() {
            text.push(',');
        }
        text += name;
        text += "=\"";
        for character in value.chars() {
            match character {
                '\\' => text += r"\\",
                '"' => text += "\\\"",
                '\n' => text += r"\n",
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text
}
