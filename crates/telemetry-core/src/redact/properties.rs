//! Whatever is sent: nothing panics, nothing grows, and no secret survives.
//!
//! 64 cases each time; more by `PROPTEST_CASES`. A million of each property take some 10 minutes on a busy machine:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p telemetry-core --lib redact::properties
//! ```

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use super::*;
use crate::capture::{self, Capture};

/// In no word that the generators make otherwise.
const CANARY: &str = "7Zq9canary";

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    // No file is left behind where a case fails: what is found becomes a row of a table.
    ProptestConfig { cases: if is_asked { default.cases } else { 64 }, failure_persistence: None, ..default }
}

/// A key of a secret as it may be written: any case, separators inside, letters percent-encoded.
fn secret_key() -> impl Strategy<Value = String> {
    let words = SECRET_WORDS.into_iter().chain(["x-amz-signature", "user[password]", "reset_token"]);
    let word = select(words.collect::<Vec<_>>());
    let around = "[a-zA-Z_.-]{0,4}";
    (around, word, around, vec(0_u8..4, 24)).prop_map(|(before, word, after, ways)| {
        let written = word.chars().zip(ways.into_iter().cycle()).map(|(c, way)| match way {
            0 => c.to_ascii_uppercase().to_string(),
            1 => format!("%{:02x}", u32::from(c)),
            2 => format!("{c}_"),
            _ => c.to_string(),
        });
        format!("{before}{}{after}", written.collect::<String>())
    })
}

/// A pair that holds the canary under a secret key.
fn secret_pair() -> impl Strategy<Value = String> {
    (secret_key(), "[^&#]{0,5}", "[^&#]{0,5}")
        .prop_map(|(key, before, after)| format!("{key}={before}{CANARY}{after}"))
}

fn harmless_pair() -> impl Strategy<Value = String> {
    "[a-z]{1,3}(=[^&#]{0,8})?"
}

fn a_query() -> impl Strategy<Value = String> {
    (vec(harmless_pair(), 0..4), secret_pair(), vec(harmless_pair(), 0..4), select(vec!["&", "&a;", "&b=1;"]))
        .prop_map(|(before, secret, after, joint)| {
            let mut pairs = before.join("&");
            pairs.push_str(joint);
            pairs.push_str(&secret);
            pairs.push('&');
            pairs.push_str(&after.join("&"));
            pairs
        })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_panics_and_nothing_grows(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        // Each `=` may become `=REDACTED`, not more.
        let longest = text.len() * REDACTED.len() + 64;
        prop_assert!(query(&text).len() <= longest);
        prop_assert!(path(&text).len() <= longest);
        prop_assert!(super::text(&text).len() <= 3 * longest);
        prop_assert!(cut(&text).len() <= MAX_LENGTH);
        if let Ok(url) = Url::parse(&format!("http://a.example/{text}?{text}")) {
            prop_assert!(full(&url).len() <= MAX_LENGTH);
        }
        let all = Capture::new("h.", &["*".to_owned()]);
        let headers = (0..100).map(|_| ("x-a", &bytes[..]));
        let captured = format!("{:?}", all.attributes(headers)).len();
        prop_assert!(captured <= 16 * 8 * 1024);
    }

    #[test]
    fn what_is_redacted_once_stays_as_it_is(query in a_query()) {
        let once = super::query(&query).into_owned();
        prop_assert_eq!(super::query(&once), once.as_str());
    }

    #[test]
    fn no_secret_in_a_query_survives(query in a_query()) {
        let redacted = super::query(&query);
        prop_assert!(!redacted.contains(CANARY), "{}", redacted);
        let referer = format!("https://a.example/x?{query}");
        let shown = super::text(&referer);
        prop_assert!(!shown.contains(CANARY), "{}", shown);
        if let Ok(url) = Url::parse(&referer) {
            let full = full(&url);
            prop_assert!(!full.contains(CANARY), "{}", full);
        }
    }

    #[test]
    fn no_credentials_of_a_url_survive(
        scheme in select(vec!["http", "https"]),
        user in "[a-z0-9%@:]{0,8}",
        rest in "[a-z0-9/?&=;.]{0,20}",
    ) {
        let text = format!("{scheme}://{user}{CANARY}:{CANARY}@a.example/{rest}");
        prop_assert!(!super::text(&text).contains(CANARY), "{}", super::text(&text));
        if let Ok(url) = Url::parse(&text) {
            prop_assert!(!full(&url).contains(CANARY), "{}", full(&url));
        }
    }

    #[test]
    fn no_secret_header_is_captured(
        key in secret_key(),
        prefix in "[a-z-]{0,6}",
        allowed in select(vec!["*", "x-*", "*-*"]),
    ) {
        // Letters written as `%61` are none in a header's name.
        let name = format!("x-{prefix}-{}", decoded(&key).to_ascii_lowercase());
        let capture = Capture::new("h.", &[allowed.to_owned(), name.clone()]);
        prop_assert!(capture::is_secret(&name));
        prop_assert_eq!(capture.attributes([(name.as_str(), CANARY.as_bytes())].into_iter()), vec![]);
    }

    #[test]
    fn no_url_in_a_captured_header_keeps_its_secret(query in a_query()) {
        let capture = Capture::new("h.", &["referer".to_owned()]);
        let value = format!("https://joe:{CANARY}@a.example/?{query}");
        let attributes = format!("{:?}", capture.attributes([("referer", value.as_bytes())].into_iter()));
        prop_assert!(!attributes.contains(CANARY), "{}", attributes);
    }
}
