use super::traces::Place;

/// Cursors of `GET /api/traces?since=`: a count of changes, marked with the viewer that counted.
#[derive(Debug)]
pub(super) struct Cursors {
    started_unix_nano: u64,
}

/// A text that no viewer gave as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a viewer gave")]
pub struct UnknownCursor;

impl Cursors {
    pub(super) fn of(started_unix_nano: u64) -> Self {
        Self { started_unix_nano }
    }

    pub(super) fn write(&self, changes: u64) -> String {
        format!("{:x}-{changes}", self.started_unix_nano)
    }

    /// The count of changes; 0, the beginning, for a cursor of an earlier viewer.
    pub(super) fn read(&self, cursor: &str) -> Result<u64, UnknownCursor> {
        let (started, changes) = cursor.split_once('-').ok_or(UnknownCursor)?;
        let started = u64::from_str_radix(started, 16).map_err(|_| UnknownCursor)?;
        let changes = changes.parse().map_err(|_| UnknownCursor)?;
        Ok(if started == self.started_unix_nano { changes } else { 0 })
    }
}

/// Cursors of `GET /api/traces?before=`: where in the list of traces by start.
pub(super) fn write_place((start, trace_id): Place) -> String {
    format!("{start}-{trace_id}")
}

/// The place that was written.
pub(super) fn read_place(cursor: &str) -> Result<Place, UnknownCursor> {
    let (start, trace_id) = cursor.split_once('-').ok_or(UnknownCursor)?;
    Ok((start.parse().map_err(|_| UnknownCursor)?, trace_id.parse().map_err(|_| UnknownCursor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_viewer_is_the_beginning_and_nonsense_is_refused() {
        let cursors = Cursors::of(7);
        assert_eq!(cursors.read(&cursors.write(12)), Ok(12));
        assert_eq!(cursors.read(&Cursors::of(8).write(12)), Ok(0));
        for nonsense in ["", "12", "x-1", "7-", "7-x", "7--1"] {
            assert_eq!(cursors.read(nonsense), Err(UnknownCursor), "{nonsense:?}");
        }
    }
}
