/// A span's place on a time line of `width` columns, in steps of half a column; never nothing.
pub(super) fn draw(offset_nano: u64, duration_nano: u64, total_nano: u64, width: usize) -> String {
    let halves = 2 * width as u128;
    let total = u128::from(total_nano.max(1));
    let (start, end) = (u128::from(offset_nano), u128::from(offset_nano) + u128::from(duration_nano));
    let first = (start * halves / total).min(halves.saturating_sub(1));
    let last = (end * halves).div_ceil(total).clamp(first + 1, halves.max(first + 1));
    let filled = |half: u128| (first..last).contains(&half);
    let columns = (0..width as u128).map(|column| match (filled(2 * column), filled(2 * column + 1)) {
        (true, true) => '█',
        (true, false) => '▌',
        (false, true) => '▐',
        (false, false) => ' ',
    });
    let drawn: String = columns.collect();
    drawn.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn a_bar_begins_and_ends_where_its_span_does() {
        assert_eq!(draw(0, 100, 100, 10), "██████████");
        assert_eq!(draw(0, 50, 100, 10), "█████");
        assert_eq!(draw(50, 50, 100, 10), "     █████");
        assert_eq!(draw(25, 50, 100, 10), "  ▐████▌");
        assert_eq!(draw(95, 5, 100, 10), "         ▐");
    }

    #[test]
    fn the_shortest_span_still_shows_and_no_span_leaves_the_line() {
        assert_eq!(draw(0, 0, 100, 10), "▌");
        assert_eq!(draw(100, 0, 100, 10), "         ▐");
        assert_eq!(draw(0, 0, 0, 4), "▌");
        assert_eq!(draw(u64::MAX, u64::MAX, 1, 4), "   ▐");
        assert_eq!(draw(0, u64::MAX, 1, 4), "████");
        assert_eq!(draw(0, 1, 1, 0), "");
    }
}
