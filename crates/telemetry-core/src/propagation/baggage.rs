//! W3C Baggage: `baggage: key=value;metadata,…`.
//!
//! Its limits hold both ways: 64 entries, which [`Baggage`] sees to, and 8192 bytes. What exceeds them is left
//! out, entry by entry.

use std::borrow::Cow;

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::propagation::{Extractor, Injector};

use super::OWS;

pub(super) const BAGGAGE: &str = "baggage";
pub(super) const FIELDS: [&str; 1] = [BAGGAGE];

const MAX_LENGTH: usize = 8192;

/// The entries of all `baggage` headers; a wrong one costs itself only. Of entries with the same name the last one
/// counts. Entries with a `reserved` name are dropped. `None` where none is left.
pub(super) fn read<'a>(carrier: &dyn Extractor, reserved: impl FnOnce() -> &'a [String]) -> Option<Baggage> {
    let headers = carrier.get_all(BAGGAGE)?;
    let reserved = reserved();
    let mut baggage = Baggage::new();
    let mut left = MAX_LENGTH;
    'headers: for header in headers {
        for member in header.split(',') {
            let Some(rest) = left.checked_sub(member.len()) else { break 'headers };
            // The comma; the last entry has none.
            left = rest.saturating_sub(1);
            let Some((name, value, metadata)) = parse(member) else { continue };
            if reserved.iter().all(|reserved| reserved != name) {
                baggage.insert_with_metadata(name.to_owned(), value.into_owned(), metadata);
            }
        }
    }
    (!baggage.is_empty()).then_some(baggage)
}

/// Name, value and metadata of one entry.
fn parse(member: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim_matches(OWS), value.trim_matches(OWS));
    let metadata = metadata.trim_matches(OWS);
    let is_entry = !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_value);
    // Metadata means nothing here; what may be sent is carried on.
    is_entry.then(|| (name, decode(value), if is_metadata(metadata) { metadata } else { "" }))
}

pub(super) fn write(cx: &Context, carrier: &mut dyn Injector) {
    let baggage = cx.baggage();
    if baggage.is_empty() {
        return;
    }
    let mut header = String::with_capacity(64);
    for (name, (value, metadata)) in baggage {
        encode(name.as_str(), value.as_str(), metadata.as_str(), &mut header);
    }
    if header.len() > MAX_LENGTH {
        header = shortened(&header);
    }
    if !header.is_empty() {
        carrier.set(BAGGAGE, header);
    }
}

/// As many entries as fit, the short ones first: a long one must not push out what all services need.
fn shortened(header: &str) -> String {
    let mut members: Vec<&str> = header.split(',').collect();
    members.sort_unstable_by_key(|member| (member.len(), *member));
    let mut short = String::with_capacity(MAX_LENGTH);
    for member in members {
        if short.len() + usize::from(!short.is_empty()) + member.len() > MAX_LENGTH {
            break;
        }
        if !short.is_empty() {
            short.push(',');
        }
        short.push_str(member);
    }
    short
}

/// Appends an entry. Names are tokens: [`Baggage`] takes no others.
fn encode(name: &str, value: &str, metadata: &str, header: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if !header.is_empty() {
        header.push(',');
    }
    header.push_str(name);
    header.push('=');
    for byte in value.bytes() {
        if is_value(byte) && byte != b'%' {
            header.push(char::from(byte));
        } else {
            header.push('%');
            header.push(char::from(HEX[usize::from(byte >> 4)]));
            header.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
    }
    let metadata = metadata.trim_matches(OWS);
    if !metadata.is_empty() && is_metadata(metadata) {
        header.push(';');
        header.push_str(metadata);
    }
}

/// Turns every `%XX` into its byte. Bytes that are no UTF-8 become U+FFFD, as the recommendation wants; a `%`
/// without two digits stays.
fn decode(value: &str) -> Cow<'_, str> {
    let Some((plain, _)) = value.split_once('%') else { return Cow::Borrowed(value) };
    let mut bytes = plain.as_bytes().to_vec();
    let mut rest = &value.as_bytes()[plain.len()..];
    while let [byte, after @ ..] = rest {
        let digit = |index: usize| after.get(index).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// RFC 7230, section 3.2.6.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `baggage-octet`: printable ASCII but space, `"`, `,`, `;` and `\`.
fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

fn is_metadata(metadata: &str) -> bool {
    metadata.bytes().all(|byte| byte == b'\t' || ((0x20..=0x7e).contains(&byte) && byte != b','))
}
