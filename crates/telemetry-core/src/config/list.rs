//! `key=value` pairs as baggage has them: separated by commas, percent-encoded.

/// Splits `a=1,b=2` and decodes keys and values. White space around them and empty members are skipped.
/// `None` where a member has no `=` or no key, or an encoding is broken.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (key, value) = member.split_once('=')?;
            let key = percent_decode(key.trim())?;
            let value = percent_decode(value.trim())?;
            (!key.is_empty()).then_some((key, value))
        })
        .collect()
}

/// Turns every `%XX` into its byte. `None` for a `%` without two hexadecimal digits, and for bytes that are no UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_and_decoded() {
        for (text, expected) in [
            ("a=1", Some(vec![("a", "1")])),
            (" a = 1 , b=2,", Some(vec![("a", "1"), ("b", "2")])),
            ("a=x%2Cy%3Dz", Some(vec![("a", "x,y=z")])),
            ("a%3Db=1", Some(vec![("a=b", "1")])),
            ("authorization=Basic dTpw==", Some(vec![("authorization", "Basic dTpw==")])),
            ("a=Z%C3%BCrich", Some(vec![("a", "Zürich")])),
            ("a=", Some(vec![("a", "")])),
            ("a", None),
            ("=1", None),
            ("a=50%", None),
            ("a=%+1", None),
            ("a=%FF", None),
        ] {
            let pairs = pairs(text);
            let pairs: Option<Vec<(&str, &str)>> = pairs
                .as_ref()
                .map(|pairs| pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect());
            assert_eq!(pairs, expected, "{text}");
        }
    }
}
