//! Registries in the semantic conventions' format: ours (`telemetry/registry`) and the published model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What may be emitted: our own names, and the conventions' where their model is at hand.
pub(crate) struct Registry {
    /// Attributes by name; a template's name is the part before the key.
    pub(crate) attributes: BTreeMap<String, Attribute>,
    groups: BTreeMap<String, Group>,
    /// The ids of our groups.
    our_groups: BTreeSet<String>,
    /// The names of our attributes.
    pub(crate) our_attributes: BTreeSet<String>,
    has_model: bool,
}

/// An attribute as it is defined.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) kind: Kind,
    pub(crate) is_deprecated: bool,
}

/// An attribute's type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kind {
    /// `string`, `int[]`, `template[string]`, …
    Plain(String),
    /// Values that are listed.
    Enum {
        /// Them.
        members: Vec<Member>,
    },
}

/// A listed value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Member {
    pub(crate) value: MemberValue,
    #[serde(default)]
    pub(crate) deprecated: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum MemberValue {
    Int(i64),
    String(String),
}

/// A group as a file has it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) brief: Option<String>,
    pub(crate) stability: Option<String>,
    extends: Option<String>,
    /// Of an event.
    pub(crate) name: Option<String>,
    pub(crate) span_kind: Option<String>,
    pub(crate) metric_name: Option<String>,
    pub(crate) instrument: Option<String>,
    pub(crate) unit: Option<String>,
    annotations: Option<serde_json::Value>,
    #[serde(default)]
    attributes: Vec<AttributeEntry>,
    #[serde(default)]
    deprecated: Option<serde_json::Value>,
}

impl Group {
    /// `int` or `double`, what the values of this metric are.
    pub(crate) fn value_type(&self) -> Option<&str> {
        self.annotations.as_ref()?.pointer("/code_generation/metric_value_type")?.as_str()
    }
}

/// A definition (`id`) or a use (`ref`) of an attribute.
#[derive(Debug, Clone, Deserialize)]
struct AttributeEntry {
    #[serde(alias = "key")]
    id: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    brief: Option<String>,
    stability: Option<String>,
    examples: Option<serde_json::Value>,
    requirement_level: Option<Level>,
    #[serde(default)]
    deprecated: Option<serde_json::Value>,
}

/// `required`, `opt_in`, or with a sentence: `conditionally_required: …`, `recommended: …`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Level {
    Plain(String),
    Prose(BTreeMap<String, IgnoredAny>),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    groups: Vec<Group>,
    /// Definitions outside groups, as the format's second version has them.
    #[serde(default)]
    attributes: Vec<AttributeEntry>,
}

/// Whether an attribute must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Requirement {
    Required,
    /// Where a condition holds.
    Conditional,
    /// Recommended, or where somebody asks for it.
    #[default]
    Optional,
}

/// A group with all that it extends.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The attributes, and whether each must be there.
    pub(crate) attributes: BTreeMap<String, Requirement>,
    pub(crate) span_kind: Option<String>,
    /// Whether part of it is in a model that is not at hand.
    pub(crate) is_open: bool,
}

impl Registry {
    /// Ours, and the conventions' model at this folder.
    pub(crate) fn load(model: Option<&Path>) -> Self {
        let ours = read(&our_folder());
        let our_groups = ours.iter().map(|group| group.id.clone()).collect();
        let defined = ours.iter().flat_map(|group| &group.attributes).filter_map(|entry| entry.id.clone());
        let mut registry = Self {
            our_attributes: defined.collect(),
            our_groups,
            attributes: BTreeMap::new(),
            groups: BTreeMap::new(),
            has_model: model.is_some(),
        };
        for group in model.map(read).unwrap_or_default().into_iter().chain(ours) {
            registry.add(group);
        }
        registry
    }

    fn add(&mut self, group: Group) {
        for entry in &group.attributes {
            let (Some(name), Some(kind)) = (&entry.id, &entry.kind) else { continue };
            let attribute = Attribute { kind: kind.clone(), is_deprecated: entry.deprecated.is_some() };
            let before = self.attributes.insert(name.clone(), attribute);
            assert!(
                before.is_none_or(|_| !self.our_attributes.contains(name)),
                "{name} is defined twice, or is the conventions' own"
            );
        }
        let id = group.id.clone();
        let before = self.groups.insert(id.clone(), group);
        assert!(before.is_none(), "the group {id} is defined twice");
    }

    /// Our groups.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Group> {
        self.our_groups.iter().map(|id| &self.groups[id])
    }

    /// The attribute of this name, also one of a template.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(name).or_else(|| {
            let mut prefixes = name.match_indices('.').map(|(dot, _)| &name[..dot]);
            prefixes.find_map(|prefix| self.attributes.get(prefix).filter(|found| found.is_template()))
        })
    }

    /// Whether the name is in a namespace of ours, or the model is there to know the others.
    pub(crate) fn should_know(&self, name: &str) -> bool {
        self.has_model || !name.contains('.') || self.namespaces().any(|ours| name.starts_with(ours))
    }

    /// What our attributes and metrics begin with, the dot included.
    fn namespaces(&self) -> impl Iterator<Item = &str> {
        let metrics = self.ours().filter_map(|group| group.metric_name.as_deref());
        let names = self.our_attributes.iter().map(String::as_str).chain(metrics);
        // `db.`, `http.` and `user.` are the conventions' too: names of theirs are none of ours.
        let shared = ["db.", "http.", "user.", "app."];
        names
            .filter_map(|name| name.split_inclusive('.').next().filter(|first| first.ends_with('.')))
            .filter(move |first| !shared.contains(first))
    }

    /// Whether the conventions are known.
    pub(crate) fn has_model(&self) -> bool {
        self.has_model
    }

    /// The span group of this id (without `span.`).
    pub(crate) fn span(&self, name: &str) -> Option<Resolved> {
        self.group(&format!("span.{name}"))
    }

    /// The event of this name.
    pub(crate) fn event(&self, name: &str) -> Option<Resolved> {
        let mut groups = self.groups.values();
        let found = groups.find(|group| group.kind == "event" && group.name.as_deref() == Some(name))?;
        self.group(&found.id)
    }

    /// The metric of this name that is not deprecated.
    pub(crate) fn metric(&self, name: &str) -> Option<(&Group, Resolved)> {
        let mut groups = self.groups.values();
        let found =
            groups.find(|group| group.metric_name.as_deref() == Some(name) && group.deprecated.is_none())?;
        Some((found, self.group(&found.id)?))
    }

    /// The group with all that it extends: what is nearer overrides, and a use that names no level keeps
    /// the one it has.
    pub(crate) fn group(&self, id: &str) -> Option<Resolved> {
        let group = self.groups.get(id)?;
        let mut resolved = match &group.extends {
            None => Resolved::default(),
            Some(parent) => self.group(parent).unwrap_or_else(|| {
                assert!(!self.has_model, "{id} extends {parent}, which there is not");
                Resolved { is_open: true, ..Resolved::default() }
            }),
        };
        for entry in &group.attributes {
            let name = entry.id.as_ref().or(entry.reference.as_ref()).expect("an id or a ref");
            let requirement = resolved.attributes.entry(name.clone()).or_default();
            match &entry.requirement_level {
                Some(Level::Plain(level)) if level == "required" => *requirement = Requirement::Required,
                Some(Level::Prose(prose)) if prose.contains_key("conditionally_required") => {
                    *requirement = Requirement::Conditional;
                }
                Some(_) => *requirement = Requirement::Optional,
                None => {}
            }
        }
        resolved.span_kind = group.span_kind.clone().or(resolved.span_kind);
        Some(resolved)
    }

    /// What is wrong with our registry itself.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for group in self.ours() {
            let id = &group.id;
            let mut needs = |what: &str, is_there: bool| {
                if !is_there {
                    mistakes.push(format!("{id} has no {what}"));
                }
            };
            needs("brief", group.brief.is_some());
            if group.kind != "attribute_group" {
                needs("stability", group.stability.is_some());
            }
            match group.kind.as_str() {
                "span" => needs("span_kind", group.span_kind.is_some()),
                "event" => needs("name", group.name.is_some()),
                "metric" => {
                    needs("metric_name", group.metric_name.is_some());
                    needs("instrument", group.instrument.is_some());
                    needs("unit", group.unit.is_some());
                    needs("value type", matches!(group.value_type(), Some("int" | "double")));
                }
                kind => needs("known type", kind == "attribute_group"),
            }
            for entry in &group.attributes {
                match (&entry.id, &entry.reference) {
                    (Some(name), None) => {
                        needs(&format!("type of {name}"), entry.kind.is_some());
                        needs(&format!("brief of {name}"), entry.brief.is_some());
                        needs(&format!("stability of {name}"), entry.stability.is_some());
                        let is_text = matches!(&entry.kind, Some(Kind::Plain(kind)) if kind != "boolean");
                        needs(&format!("examples of {name}"), !is_text || entry.examples.is_some());
                    }
                    (None, Some(name)) => {
                        let is_known = self.attribute(name).is_some_and(|found| !found.is_deprecated);
                        needs(&format!("definition of {name}"), is_known || !self.should_know(name));
                    }
                    _ => needs("one of id and ref", false),
                }
            }
            // That what it extends is there.
            self.group(id);
        }
        mistakes
    }
}

impl Attribute {
    pub(crate) fn is_template(&self) -> bool {
        matches!(&self.kind, Kind::Plain(kind) if kind.starts_with("template["))
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn our_folder() -> PathBuf {
    root().join("telemetry/registry")
}

/// Every file of the folder and those below it, but for the manifest.
fn read(folder: &Path) -> Vec<Group> {
    let mut groups = Vec::new();
    for path in files(folder, "yaml") {
        if path.file_name().is_some_and(|name| name == "manifest.yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let file: File =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        groups.extend(file.groups);
        if !file.attributes.is_empty() {
            let (id, kind) = (path.display().to_string(), "attribute_group".to_owned());
            groups.push(Group { id, kind, attributes: file.attributes, ..Group::default() });
        }
    }
    assert!(!groups.is_empty(), "no groups in {}", folder.display());
    groups
}

/// The files of this extension in the folder and those below it.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}
