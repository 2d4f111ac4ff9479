use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Attributes by key. Where a sender repeats a key, the last value counts.
pub type Attributes = BTreeMap<String, Value>;

/// An attribute's value or a log record's body, with its type: `{"int": 200}`, `{"string": "GET"}`.
///
/// Compares with plain values of the same type only: `Value::Int(1) == 1`, `Value::Double(1.0) != 1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A value that was sent with no type at all.
    Empty,
    /// Text.
    String(String),
    /// True or false.
    Bool(bool),
    /// A signed integer of 64 bits. JavaScript's numbers are exact up to 2^53 only.
    Int(i64),
    /// A floating-point number; in JSON the text `NaN`, `Infinity` or `-Infinity` where it is no number.
    Double(#[serde(with = "double")] f64),
    /// A list; OTLP does not ask that its items are of one type.
    Array(Vec<Value>),
    /// Values by key.
    Map(Attributes),
    /// Bytes, an array of numbers in JSON.
    Bytes(Vec<u8>),
}

impl Value {
    /// The text, where the value is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number, where the value is an integer.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The number, where the value is a double.
    pub fn as_double(&self) -> Option<f64> {
        if let Self::Double(number) = self { Some(*number) } else { None }
    }

    /// The truth, where the value is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The items, where the value is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }
}

/// As text for people: a string without quotes, an array as `[a, b]`. The type does not show.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::String(text) => f.write_str(text),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}={value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<i64> for Value {
    fn eq(&self, other: &i64) -> bool {
        self.as_int() == Some(*other)
    }
}

impl PartialEq<f64> for Value {
    fn eq(&self, other: &f64) -> bool {
        self.as_double() == Some(*other)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

/// Doubles in JSON, which has no NaN and no infinities: those are text, as in protobuf's mapping.
pub(crate) mod double {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Double {
        Number(f64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            number if number.is_finite() => serializer.serialize_f64(*number),
            number if number.is_nan() => serializer.serialize_str("NaN"),
            number if *number > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Double::deserialize(deserializer)? {
            Double::Number(number) => Ok(number),
            Double::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                _ => Err(de::Error::custom("expected a number, NaN, Infinity or -Infinity")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_json() {
        let values = [
            Value::Empty,
            "1".into(),
            1.into(),
            1.0.into(),
            true.into(),
            i64::MIN.into(),
            Value::Array(vec!["a".into(), 2.into()]),
            Value::Map(Attributes::from([("k".to_owned(), 0.5.into())])),
            Value::Bytes(vec![0, 255]),
            f64::NEG_INFINITY.into(),
        ];
        for value in values {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value, "{json}");
        }
        let nan = serde_json::to_string(&Value::Double(f64::NAN)).unwrap();
        assert_eq!(nan, r#"{"double":"NaN"}"#);
        assert!(serde_json::from_str::<Value>(&nan).unwrap().as_double().unwrap().is_nan());
    }

    #[test]
    fn a_value_equals_only_its_own_type() {
        assert_eq!(Value::Int(200), 200);
        assert_ne!(Value::from("200"), 200);
        assert_ne!(Value::Double(200.0), 200);
        assert_eq!(Value::from("GET"), "GET");
        assert_eq!(serde_json::to_string(&Value::Int(200)).unwrap(), r#"{"int":200}"#);
        assert_eq!(serde_json::to_string(&Value::Double(200.0)).unwrap(), r#"{"double":200.0}"#);
    }
}
