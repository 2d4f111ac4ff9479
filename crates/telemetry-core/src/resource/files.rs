//! Reading what the machine says of itself, without ever waiting or failing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any of these files needs, the mounts of a crowded host among them.
const LONGEST: u64 = 1 << 20;

/// The files below a folder, which is `/` outside of tests.
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The file's text, as far as 1 MiB; none where it cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let path = self.path(path);
        // A pipe would be waited for.
        if !path.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a file that holds one value; none where that is empty.
    pub(super) fn value(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Whether there is anything at this path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path).strip_prefix("/").unwrap_or(path.as_ref()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::resource::Found;

    /// A machine with these files alone.
    pub(crate) struct Machine {
        folder: TempDir,
    }

    impl Machine {
        pub(crate) fn with(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for (path, text) in files {
                let path = folder.path().join(path.trim_start_matches('/'));
                fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("its folder");
                fs::write(path, text).expect("the file");
            }
            Self { folder }
        }

        pub(crate) fn root(&self) -> &Path {
            self.folder.path()
        }

        pub(crate) fn files(&self) -> Files {
            Files::below(self.root())
        }
    }

    /// What was found under this name, as text.
    pub(crate) fn text(found: &Found, key: &str) -> Option<String> {
        found.iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_string())
    }

    #[test]
    fn a_value_is_trimmed_and_none_where_it_is_empty_or_not_there() {
        let machine = Machine::with(&[("/etc/one", " 1\n"), ("/etc/none", "\n")]);
        let files = machine.files();
        assert_eq!(files.value("/etc/one").as_deref(), Some("1"));
        assert_eq!(files.value("/etc/none"), None);
        assert_eq!(files.value("/etc/missing"), None);
        assert_eq!(files.value("/etc"), None, "a folder");
        assert!(files.has("/etc/none") && !files.has("/etc/missing"));
    }

    #[test]
    fn no_more_than_a_mebibyte_is_read_and_no_bytes_are_refused() {
        let machine = Machine::with(&[("/long", &"x".repeat(3 << 20))]);
        fs::write(machine.root().join("bytes"), [b'a', 0xff, b'b']).expect("the file");
        assert_eq!(machine.files().text("/long").map(|text| text.len()), Some(1 << 20));
        assert_eq!(machine.files().text("/bytes").as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pipe_is_not_waited_for() {
        use std::os::fd::AsRawFd;
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        assert!(Files::below("/").has(&path));
        assert_eq!(Files::below("/").text(&path), None);
    }
}
