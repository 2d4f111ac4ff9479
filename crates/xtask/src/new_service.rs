//! `cargo xtask new-service`: a service from the files in `templates/service`, under a name of its own.
//!
//! The templates are a service that works as it stands, a member of the workspace that is compiled, linted and tested
//! with it. All that is replaced are the words for its name, its port and its date. Nothing that exists is changed:
//! `services/*` are members of the workspace already.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// The files, and where each goes.
const TEMPLATES: [(&str, &str); 11] = [
    ("Cargo.toml", include_str!("../templates/service/Cargo.toml")),
    ("compose.yaml", include_str!("../templates/service/compose.yaml")),
    (
        "migrations/2026-11-24-000000_create_items/up.sql",
        include_str!("../templates/service/migrations/2026-11-24-000000_create_items/up.sql"),
    ),
    (
        "migrations/2026-11-24-000000_create_items/down.sql",
        include_str!("../templates/service/migrations/2026-11-24-000000_create_items/down.sql"),
    ),
    ("src/main.rs", include_str!("../templates/service/src/main.rs")),
    ("src/lib.rs", include_str!("../templates/service/src/lib.rs")),
    ("src/app.rs", include_str!("../templates/service/src/app.rs")),
    ("src/routes.rs", include_str!("../templates/service/src/routes.rs")),
    ("src/domain.rs", include_str!("../templates/service/src/domain.rs")),
    ("src/store.rs", include_str!("../templates/service/src/store.rs")),
    ("tests/api.rs", include_str!("../templates/service/tests/api.rs")),
];

/// Ports that other things of the house listen on: the gateway's stand-in and the trace viewer.
const OTHER_PORTS: [u16; 2] = [8084, 8090];

/// No service of the house has a lower one.
const FIRST_PORT: u16 = 8080;

/// The longest name. With `-service` it is still a valid DNS label (RFC 1035, 2.3.4), as compose and Kubernetes want.
const MAX_LENGTH: usize = 48;

/// What was made; its text tells how to go on.
#[derive(Debug)]
pub struct Made {
    /// `gift-cards-service`.
    pub package: String,
    /// From the workspace: `services/gift-cards`.
    pub folder: PathBuf,
    /// Where it listens unless `PORT` says otherwise.
    pub port: u16,
    /// The files, from the folder.
    pub files: Vec<String>,
}

/// Makes the service in this workspace.
///
/// # Errors
/// Where the name or the port is none or taken, or a file cannot be written; what was begun is then taken away.
pub fn make(workspace: &Path, name: &str, port: Option<u16>) -> anyhow::Result<Made> {
    let name = name.strip_suffix("-service").unwrap_or(name);
    check_name(name)?;
    let package = format!("{name}-service");
    let taken = packages(workspace)?;
    ensure!(!taken.contains(&package), "the workspace has a package {package} already");
    let folder = PathBuf::from("services").join(name);
    let place = workspace.join(&folder);
    ensure!(!place.exists(), "{} is there already; nothing was changed", folder.display());
    let port = choose_port(workspace, port)?;

    let written = write(&place, name, port);
    if written.is_err() {
        // It was made here a moment ago.
        let _ = fs::remove_dir_all(&place);
    }
    Ok(Made { package, folder, port, files: written? })
}

fn check_name(name: &str) -> anyhow::Result<()> {
    const EXPECTED: &str = "expected lower-case words joined by `-`, such as gift-cards";
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    ensure!(name.split('-').all(is_word), "{name:?} is no name of a service: {EXPECTED}");
    ensure!(name.len() <= MAX_LENGTH, "{name:?} is too long: at most {MAX_LENGTH} characters");
    Ok(())
}

fn choose_port(workspace: &Path, wanted: Option<u16>) -> anyhow::Result<u16> {
    let taken = ports(workspace)?;
    match wanted {
        Some(0) => anyhow::bail!("0 is no port that others could find the service at"),
        Some(port) => {
            ensure!(!taken.contains(&port), "another part of the workspace listens on port {port}");
            Ok(port)
        }
        None => {
            (FIRST_PORT..).find(|port| !taken.contains(port)).context("no port is left; choose one by --port")
        }
    }
}

/// The names of the workspace's packages.
fn packages(workspace: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for folder in ["crates", "examples", "services"] {
        for manifest in below(&workspace.join(folder), "Cargo.toml")? {
            let text = read(&manifest)?;
            let name = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
            names.extend(name.map(str::to_owned));
        }
    }
    ensure!(names.contains("service-kit"), "{} is not this workspace", workspace.display());
    Ok(names)
}

/// The ports of the workspace's services.
fn ports(workspace: &Path) -> anyhow::Result<BTreeSet<u16>> {
    let mut ports = BTreeSet::from(OTHER_PORTS);
    for app in below(&workspace.join("services"), "src/app.rs")? {
        let text = read(&app)?;
        let port =
            text.lines().find_map(|line| line.trim().strip_prefix("const PORT: u16 = ")?.strip_suffix(';'));
        ports.extend(port.and_then(|port| port.parse::<u16>().ok()));
    }
    Ok(ports)
}

/// The file of this name in each folder of `folder` that has it.
fn below(folder: &Path, file: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path().join(file)));
    Ok(files.filter(|file| file.is_file()).collect())
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn write(folder: &Path, name: &str, port: u16) -> anyhow::Result<Vec<String>> {
    let words = words(name, port);
    let mut files = Vec::new();
    for (file, template) in TEMPLATES {
        let own =
            |text: &str| words.iter().fold(text.to_owned(), |text, (sample, own)| text.replace(sample, own));
        let (file, text) = (own(file), own(template));
        let path = folder.join(&file);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("writing {}", path.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// What stands for the name, the port and the day in the templates, and what does in the service.
fn words(name: &str, port: u16) -> [(&'static str, String); 6] {
    let camel: String = name.split('-').map(capitalised).collect();
    [
        ("sample-service", format!("{name}-service")),
        ("sample_service", format!("{}_service", name.replace('-', "_"))),
        ("SampleService", format!("{camel}Service")),
        ("services/sample", format!("services/{name}")),
        ("8099", port.to_string()),
        ("2026-11-24", chrono::Utc::now().format("%Y-%m-%d").to_string()),
    ]
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, folder, port, files } = self;
        let folder = folder.display();
        writeln!(f, "Made {package} in {folder}:")?;
        for file in files {
            writeln!(f, "  {file}")?;
        }
        write!(
            f,
            r#"
It keeps items in a database, as an example to replace. Run it:
  cargo run -p {package}                 # http://127.0.0.1:{port}, its API at /docs/
  cargo test -p {package}
  curl -H 'content-type: application/json' -d '{{"name": "lamp"}}' http://127.0.0.1:{port}/api/items

Cargo.lock has it after the first build; commit both. New names that it emits go to telemetry/registry and
docs/instrumentation.md.

Its container, by itself or by `include` from docker-compose.yml; deploy/make-env.sh makes .env, which has the secret:
  docker compose --env-file .env -f {folder}/compose.yaml up"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_joined_by_hyphens() {
        for right in ["a", "shipping", "gift-cards", "web3"] {
            assert!(check_name(right).is_ok(), "{right}");
        }
        let long = "a".repeat(MAX_LENGTH + 1);
        for wrong in
            ["", "-", "a-", "-a", "a--b", "Gift", "gift_cards", "2fast", "a-2", "../a", "a/b", "ä", &long]
        {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_templates_words_are_replaced_by_the_services() {
        let words = words("gift-cards", 8085).map(|(_, own)| own);
        let wanted =
            ["gift-cards-service", "gift_cards_service", "GiftCardsService", "services/gift-cards", "8085"];
        assert_eq!(words[..5], wanted);
    }

    #[test]
    fn every_template_is_used() {
        fn files(folder: &Path) -> usize {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/service");
        assert_eq!(files(&folder), TEMPLATES.len());
    }
}
