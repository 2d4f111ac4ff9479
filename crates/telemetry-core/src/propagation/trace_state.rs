//! The list of `tracestate` (Level 2, section 3.3).

use opentelemetry::trace::TraceState;

use super::OWS;

/// Longer headers are not read: 32 members of the greatest length and their commas are shorter.
const MAX_READ: usize = 32 * 1024;

/// What is carried on: the recommendation asks for at least 512, and many servers take 8192 of all headers
/// together.
const MAX_LENGTH: usize = 2048;
const MAX_MEMBERS: usize = 32;

/// Where a list must be shortened, members longer than this go first (section 3.3.1.5).
const LONG_MEMBER: usize = 128;

/// One list out of all headers; one wrong member discards the whole. Of members with the same key the first
/// is kept, which is the latest.
///
/// The API's [`TraceState`] goes by the keys of Level 1 (`tenant@system`, a system of up to 13 characters),
/// where Level 2 allows `@` anywhere but first. Where it refuses members, the second answer is the complete
/// list.
pub(super) fn parse(headers: &[&str]) -> Option<(TraceState, Option<String>)> {
    if headers.iter().map(|header| header.len()).sum::<usize>() > MAX_READ {
        return None;
    }
    let mut members: Vec<Member<'_>> = Vec::new();
    let mut count = 0;
    for member in headers.iter().flat_map(|header| header.split(',')) {
        let member = member.trim_matches(OWS);
        if member.is_empty() {
            continue;
        }
        let member = Member::parse(member)?;
        count += 1;
        if count > MAX_MEMBERS {
            return None;
        }
        if members.iter().all(|known| known.key != member.key) {
            members.push(member);
        }
    }
    shorten(&mut members);
    match TraceState::from_key_value(members.iter().map(|member| (member.key, member.value))) {
        Ok(state) => Some((state, None)),
        Err(_) => {
            let accepted = members.iter().filter(|member| member.is_accepted());
            let state = TraceState::from_key_value(accepted.map(|member| (member.key, member.value)));
            Some((state.unwrap_or_default(), Some(join(&members))))
        }
    }
}

/// The header to send: `state`, and among its members those of `complete` that it had to refuse. Members that
/// somebody here has set stand before what came in (section 3.5).
pub(super) fn header(state: &TraceState, complete: Option<&str>) -> String {
    let mut members: Vec<Member<'_>> = state.into_iter().map(|(key, value)| Member { key, value }).collect();
    let Some(complete) = complete else { return join(&members) };
    let received: Vec<Member<'_>> = complete.split(',').filter_map(Member::parse).collect();
    members.retain(|member| !received.contains(member));
    let is_kept = |member: &Member<'_>| state.get(member.key) == Some(member.value) || !member.is_accepted();
    members.extend(received.into_iter().filter(is_kept));
    members.truncate(MAX_MEMBERS);
    shorten(&mut members);
    join(&members)
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Member<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Member<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (key, value) = text.split_once('=')?;
        (is_key(key) && is_value(value)).then_some(Self { key, value })
    }

    fn length(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }

    fn is_accepted(&self) -> bool {
        TraceState::from_key_value([(self.key, self.value)]).is_ok()
    }
}

/// Drops whole members until the list fits, from the end: the long ones, then any.
fn shorten(members: &mut Vec<Member<'_>>) {
    while length(members) > MAX_LENGTH {
        match members.iter().rposition(|member| member.length() > LONG_MEMBER) {
            Some(index) => drop(members.remove(index)),
            None => drop(members.pop()),
        }
    }
}

/// Of the members and the commas between them.
fn length(members: &[Member<'_>]) -> usize {
    members.iter().map(|member| member.length() + 1).sum::<usize>().saturating_sub(1)
}

fn join(members: &[Member<'_>]) -> String {
    let mut header = String::with_capacity(length(members));
    for member in members {
        if !header.is_empty() {
            header.push(',');
        }
        header.push_str(member.key);
        header.push('=');
        header.push_str(member.value);
    }
    header
}

/// Section 3.3.1.3.1: a lower-case letter or a digit, then up to 255 of those and `_ - * / @`.
fn is_key(key: &str) -> bool {
    let is_start = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_rest = |byte: &u8| is_start(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    match key.as_bytes() {
        [start, rest @ ..] => is_start(start) && rest.len() <= 255 && rest.iter().all(is_rest),
        [] => false,
    }
}

/// Section 3.3.1.3.2: up to 256 printable ASCII characters but `,` and `=`, the last no space.
fn is_value(value: &str) -> bool {
    let is_value_byte = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(is_value_byte) && !value.ends_with(' ')
}
