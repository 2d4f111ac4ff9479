//! What is mounted for the process, as proc(5) lists it.

use super::files::Files;

pub(super) struct Mounts(String);

impl Mounts {
    pub(super) fn read(files: &Files) -> Self {
        Self(files.text("/proc/self/mountinfo").unwrap_or_default())
    }

    /// Which file or folder of its file system is mounted at this place: what runtimes put over an image's files tells
    /// their own paths.
    pub(super) fn source(&self, mount_point: &str) -> Option<&str> {
        // Of several mounts at one place the last is seen.
        self.0.lines().rev().find_map(|line| {
            let mut fields = line.split(' ').skip(3);
            let (source, point) = (fields.next()?, fields.next()?);
            (point == mount_point).then_some(source)
        })
    }
}
