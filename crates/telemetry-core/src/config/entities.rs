//! What the platform says that the process belongs to (specification, "Entity Propagation").

use super::list::percent_decode;
use super::{Env, Source};

/// The attributes of all entities of `OTEL_ENTITIES`, which has the form
/// `type{identifying=…}[describing=…]@schema_url;…`.
pub(super) fn read(env: &mut Env) -> (Vec<(String, String)>, Source) {
    const NAME: &str = "OTEL_ENTITIES";
    const EXPECTED: &str = "entities such as host{host.id=1}[host.name=web], separated by semicolons, values \
                            percent-encoded";
    let Some((text, source)) = env.find(NAME) else { return (Vec::new(), Source::Default) };
    env.record(NAME, &text, source);
    let mut attributes: Vec<(String, String)> = Vec::new();
    for entity in text.split(';').map(str::trim).filter(|entity| !entity.is_empty()) {
        let Some(own) = parse(entity) else {
            env.reject(NAME, entity, EXPECTED);
            continue;
        };
        for (key, value) in own {
            match attributes.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) if *known != value => {
                    env.warn(NAME, format!("{key} has several values; the last one counts"));
                    *known = value;
                }
                Some(_) => {}
                None => attributes.push((key, value)),
            }
        }
    }
    (attributes, source)
}

fn parse(entity: &str) -> Option<Vec<(String, String)>> {
    let (kind, rest) = entity.split_once('{')?;
    let (identifying, rest) = rest.split_once('}')?;
    let (describing, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    // The schema is of the entity, and a resource has one of its own.
    let is_whole = rest.is_empty() || rest.starts_with('@');
    if !is_name(kind) || identifying.is_empty() || !is_whole {
        return None;
    }
    let mut attributes = pairs(identifying)?;
    if !describing.is_empty() {
        attributes.extend(pairs(describing)?);
    }
    Some(attributes)
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |member: &str| {
        let (key, value) = member.split_once('=')?;
        let is_plain = !value.contains(['{', '}', '[', ']', '@', '=']);
        (is_name(key) && is_plain).then_some(())?;
        Some((key.to_owned(), percent_decode(value)?))
    };
    text.split(',').map(pair).collect()
}

/// `[a-zA-Z][a-zA-Z0-9._-]*`
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<String>, usize) {
        let mut env = Env::of([("OTEL_ENTITIES", text)]);
        let (attributes, _) = super::read(&mut env);
        let warnings = env.warnings().iter().map(ToString::to_string).collect();
        (attributes, warnings, env.finish().err().map_or(0, |error| error.mistakes().len()))
    }

    #[test]
    fn entities_are_read_as_the_specification_has_them() {
        let pod = "k8s.pod{k8s.pod.uid=pod-abc123}[k8s.pod.name=my-pod,k8s.pod.label.app=my-app]";
        for (text, expected) in [
            ("service{service.name=app}", vec![("service.name", "app")]),
            (
                pod,
                vec![
                    ("k8s.pod.uid", "pod-abc123"),
                    ("k8s.pod.name", "my-pod"),
                    ("k8s.pod.label.app", "my-app"),
                ],
            ),
            (";host{host.id=1}@https://opentelemetry.io/schemas/1.21.0;;", vec![("host.id", "1")]),
            ("a{b=my%2Capp}[c=key%3Dvalue%5Bprod%5D]", vec![("b", "my,app"), ("c", "key=value[prod]")]),
        ] {
            let (attributes, warnings, mistakes) = read(text);
            let attributes: Vec<(&str, &str)> =
                attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!((attributes, warnings.len(), mistakes), (expected, 0, 0), "{text}");
        }
    }

    #[test]
    fn a_broken_entity_is_a_mistake() {
        for text in [
            "service",
            "service{}",
            "{a=1}",
            "1a{b=c}",
            "a{b}",
            "a{b=c",
            "a{b=c}[d",
            "a{b=c}d",
            "a{b=%2}",
            "a{=c}",
        ] {
            assert_eq!(read(text).2, 1, "{text}");
        }
    }

    #[test]
    fn of_two_values_the_last_counts_and_that_is_told() {
        let (attributes, warnings, mistakes) = read("service{service.name=a};service{service.name=b}");
        assert_eq!(attributes, [("service.name".to_owned(), "b".to_owned())]);
        assert_eq!(warnings, ["OTEL_ENTITIES: service.name has several values; the last one counts"]);
        assert_eq!(mistakes, 0);
    }
}
