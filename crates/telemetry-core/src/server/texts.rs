//! Texts of attributes that come again and again, such as a client's address and its user agent: kept once, so that
//! a span has them without a copy.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::Value;

/// Each text has one place, and whichever came last has it.
const PLACES: usize = 128;

/// What is longer comes once, or is worth a copy.
const MAX_LENGTH: usize = 256;

pub(super) struct Texts {
    texts: RefCell<Places<Arc<str>>>,
    addresses: RefCell<Places<(IpAddr, Arc<str>)>>,
}

type Places<T> = Box<[Option<T>]>;

impl Default for Texts {
    fn default() -> Self {
        Self {
            texts: RefCell::new(std::iter::repeat_with(|| None).take(PLACES).collect()),
            addresses: RefCell::new(std::iter::repeat_with(|| None).take(PLACES).collect()),
        }
    }
}

impl Texts {
    pub(super) fn of(&self, text: &str) -> Value {
        if text.len() > MAX_LENGTH {
            return text.to_owned().into();
        }
        let place = &mut self.texts.borrow_mut()[place_of(text.as_bytes())];
        match place {
            Some(known) if **known == *text => known.clone().into(),
            _ => place.insert(text.into()).clone().into(),
        }
    }

    pub(super) fn of_address(&self, address: IpAddr) -> Value {
        let index = match &address {
            IpAddr::V4(address) => place_of(&address.octets()),
            IpAddr::V6(address) => place_of(&address.octets()),
        };
        let place = &mut self.addresses.borrow_mut()[index];
        match place {
            Some((known, text)) if *known == address => text.clone().into(),
            _ => place.insert((address, address.to_string().into())).1.clone().into(),
        }
    }
}

/// By the length and both ends, whose bytes differ where texts do: looking at all of a text would cost as much as the copy.
fn place_of(bytes: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(ODD);
    (mixed >> 57) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_was_whoever_came_before() {
        let texts = Texts::default();
        for round in 0..2 {
            for number in 0..1000 {
                let text = format!("/{number}/{}", "x".repeat(number % 300));
                assert_eq!(texts.of(&text), Value::from(text.clone()), "in round {round}");
            }
        }
        assert_eq!(texts.of(""), Value::from(""));
    }

    #[test]
    fn a_text_that_comes_again_is_not_copied() {
        let texts = Texts::default();
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        let (first, second) = (texts.of(agent), texts.of(agent));
        let at = |value: &Value| value.as_str().as_ptr();
        assert_eq!(at(&first), at(&second));
        let long = "x".repeat(MAX_LENGTH + 1);
        let (first, second) = (texts.of(&long), texts.of(&long));
        assert_ne!(at(&first), at(&second), "a long one is its span's own");
    }

    #[test]
    fn an_address_is_what_it_was() {
        let texts = Texts::default();
        for number in 0..1000_u128 {
            for address in [IpAddr::from((number as u32).to_be_bytes()), IpAddr::from(number.to_be_bytes())] {
                assert_eq!(texts.of_address(address), Value::from(address.to_string()));
                assert_eq!(texts.of_address(address), Value::from(address.to_string()));
            }
        }
    }
}
