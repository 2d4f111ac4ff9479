//! The operating system ("Operating System" of the resource conventions).

use opentelemetry::Value;
use opentelemetry_semantic_conventions::resource as name;

use super::Found;
use super::files::Files;

/// Its files are those that the process sees: in a container, the image's; the kernel is the host's.
pub(super) fn detect(files: &Files) -> Found {
    let release = Release::read(files);
    let kernel = files.value("/proc/sys/kernel/osrelease");
    let kernel_name = files.value("/proc/sys/kernel/ostype");
    let uname = kernel_name.zip(kernel.as_ref()).map(|(name, release)| format!("{name} {release}"));
    let description = match (release.field("PRETTY_NAME"), uname) {
        (Some(pretty), Some(uname)) => Some(format!("{pretty} ({uname})")),
        (pretty, uname) => pretty.or(uname),
    };
    let found = [
        (name::OS_NAME, release.field("NAME")),
        (name::OS_VERSION, release.field("VERSION_ID")),
        (name::OS_BUILD_ID, release.field("BUILD_ID").or(kernel)),
        (name::OS_DESCRIPTION, description),
    ];
    let found = found.into_iter().filter_map(|(name, value)| value.map(|value| (name, Value::from(value))));
    found.chain([(name::OS_TYPE, kind(std::env::consts::OS).into())]).collect()
}

/// The text of `os-release` (os-release(5)), where there is one.
struct Release(String);

impl Release {
    fn read(files: &Files) -> Self {
        let text = files.text("/etc/os-release").or_else(|| files.text("/usr/lib/os-release"));
        Self(text.unwrap_or_default())
    }

    /// The field without its quotes; of one that is there twice the last, as a shell would have it.
    fn field(&self, name: &str) -> Option<String> {
        let assigned = |line: &str| line.trim().strip_prefix(name)?.strip_prefix('=').map(unquoted);
        self.0.lines().rev().find_map(assigned).filter(|value| !value.is_empty())
    }
}

/// The value of a shell's assignment.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(literal) = within('\'') {
        return literal.to_owned();
    }
    let mut escaped = false;
    let mut plain = String::new();
    for character in within('"').unwrap_or(value).chars() {
        escaped = character == '\\' && !escaped;
        if !escaped {
            plain.push(character);
        }
    }
    plain
}

/// The conventions' names for what Rust calls otherwise.
fn kind(os: &'static str) -> &'static str {
    match os {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::files::tests::{Machine, text};

    const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\n\
                          ID=debian\nHOME_URL=\"https://www.debian.org/\"\n";
    const KERNEL: [(&str, &str); 2] =
        [("/proc/sys/kernel/ostype", "Linux\n"), ("/proc/sys/kernel/osrelease", "6.12.9-amd64\n")];

    fn assert_found(files: &[(&str, &str)], expected: [(&str, Option<&str>); 4]) {
        let found = detect(&Machine::with(files).files());
        for (key, expected) in expected {
            assert_eq!(text(&found, key).as_deref(), expected, "{key} of {files:?}");
        }
    }

    #[test]
    fn the_release_and_the_kernel_are_told() {
        let [ostype, osrelease] = KERNEL;
        assert_found(
            &[("/etc/os-release", DEBIAN), ostype, osrelease],
            [
                ("os.name", Some("Debian GNU/Linux")),
                ("os.version", Some("13")),
                ("os.build_id", Some("6.12.9-amd64")),
                ("os.description", Some("Debian GNU/Linux 13 (trixie) (Linux 6.12.9-amd64)")),
            ],
        );
    }

    #[test]
    fn the_second_place_of_the_release_counts_where_there_is_no_first() {
        assert_found(
            &[("/usr/lib/os-release", "NAME=Alpine\nVERSION_ID=3.22.1\nBUILD_ID='x 1'\n")],
            [
                ("os.name", Some("Alpine")),
                ("os.version", Some("3.22.1")),
                ("os.build_id", Some("x 1")),
                ("os.description", None),
            ],
        );
    }

    #[test]
    fn an_image_without_a_release_tells_the_kernel() {
        assert_found(
            &KERNEL,
            [
                ("os.name", None),
                ("os.version", None),
                ("os.build_id", Some("6.12.9-amd64")),
                ("os.description", Some("Linux 6.12.9-amd64")),
            ],
        );
    }

    #[test]
    fn values_are_read_as_a_shell_reads_them() {
        for (line, expected) in [
            ("NAME=plain", Some("plain")),
            ("NAME=\"two words\"", Some("two words")),
            ("NAME='one $x'", Some("one $x")),
            (r#"NAME="a \"b\" \\ \$c""#, Some(r#"a "b" \ $c"#)),
            ("NAME=first\nNAME=second", Some("second")),
            ("# NAME=comment", None),
            ("OTHER_NAME=x\nNAMES=y\nNAME=\"\"", None),
            ("NAME=\"", Some("\"")),
            ("", None),
        ] {
            let release = Release(line.to_owned());
            assert_eq!(release.field("NAME").as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn types_follow_the_conventions() {
        for (rust, conventions) in [("linux", "linux"), ("macos", "darwin"), ("windows", "windows")] {
            assert_eq!(kind(rust), conventions);
        }
    }
}
