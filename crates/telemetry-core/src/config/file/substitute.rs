//! `${VARIABLE}` in a configuration file (specification, "Environment variable substitution").

/// The text with its references replaced. `look_up` gives a variable's value; what is empty counts as undefined.
///
/// What comes out of a variable is text, and is not looked at again.
///
/// # Errors
/// The first reference that is none, such as `${1A}`.
pub(super) fn substitute(
    text: &str,
    look_up: &mut impl FnMut(&str) -> Option<String>,
) -> Result<String, String> {
    // `$$` is a `$` that begins no reference, so no reference reaches over one.
    let parts: Result<Vec<String>, String> = text.split("$$").map(|part| replace(part, look_up)).collect();
    Ok(parts?.join("$"))
}

fn replace(part: &str, look_up: &mut impl FnMut(&str) -> Option<String>) -> Result<String, String> {
    let mut replaced = String::new();
    let mut rest = part;
    while let Some((before, reference)) = rest.split_once("${") {
        let Some((reference, after)) = reference.split_once('}') else { break };
        replaced += before;
        let (name, default) = parse(reference).ok_or_else(|| format!("${{{reference}}}"))?;
        replaced += &look_up(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
        rest = after;
    }
    Ok(replaced + rest)
}

/// Name and default of `[env:]NAME[:-DEFAULT]`.
fn parse(reference: &str) -> Option<(&str, &str)> {
    let reference = reference.strip_prefix("env:").unwrap_or(reference);
    let (name, default) = reference.split_once(":-").unwrap_or((reference, ""));
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !default.contains('\n')).then_some((name, default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> Result<String, String> {
        substitute(text, &mut |name| {
            let value = match name {
                "STRING_VALUE" => "value",
                "FLOAT_VALUE" => "1.1",
                "EMPTY" => "",
                "INVALID_MAP_VALUE" => "value\nkey:value",
                "DO_NOT_REPLACE_ME" => "Never use this value",
                "REPLACE_ME" => "${DO_NOT_REPLACE_ME}",
                "VALUE_WITH_ESCAPE" => "value$$",
                _ => return None,
            };
            Some(value.to_owned())
        })
    }

    /// The specification's own table.
    #[test]
    fn references_are_replaced_as_the_specification_has_them() {
        for (text, expected) in [
            ("${STRING_VALUE}", "value"),
            ("${env:STRING_VALUE}", "value"),
            ("${INVALID_MAP_VALUE}", "value\nkey:value"),
            ("foo ${STRING_VALUE} ${FLOAT_VALUE}", "foo value 1.1"),
            ("${UNDEFINED_KEY}", ""),
            ("${UNDEFINED_KEY:-fallback}", "fallback"),
            ("${EMPTY:-fallback}", "fallback"),
            ("${STRING_VALUE:-fallback}", "value"),
            ("${REPLACE_ME}", "${DO_NOT_REPLACE_ME}"),
            ("${UNDEFINED_KEY:-${STRING_VALUE}}", "${STRING_VALUE}"),
            ("$${STRING_VALUE}", "${STRING_VALUE}"),
            ("$$${STRING_VALUE}", "$value"),
            ("$$$${STRING_VALUE}", "$${STRING_VALUE}"),
            ("$${STRING_VALUE:-fallback}", "${STRING_VALUE:-fallback}"),
            ("$${STRING_VALUE:-${STRING_VALUE}}", "${STRING_VALUE:-value}"),
            ("${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "${UNDEFINED_KEY:-${UNDEFINED_KEY}}"),
            ("${VALUE_WITH_ESCAPE}", "value$$"),
            ("a $$ b", "a $ b"),
            ("a $ b", "a $ b"),
            ("${STRING_VALUE", "${STRING_VALUE"),
        ] {
            assert_eq!(result(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_a_mistake() {
        for text in ["${STRING_VALUE:?error}", "${1API_KEY}", "${API_$KEY}", "${}", "${a b}", "${file:KEY}"] {
            assert_eq!(result(text), Err(text.to_owned()));
        }
    }
}
