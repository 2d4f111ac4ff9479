//! Text of unknown origin, made safe to print and measured in terminal columns.

use unicode_width::UnicodeWidthChar;

/// More marks than any script puts on one letter; beyond, they only smear over other lines.
const MARKS_PER_LETTER: usize = 4;

/// The columns that the text takes once it is safe.
pub(super) fn width(text: &str) -> usize {
    safe(text).map(|(_, columns)| columns).sum()
}

/// The text safe to print, and cut to `width` columns with an ellipsis where it is longer.
///
/// Looks no further than the cut, so the text may be of any length.
pub(super) fn fit(text: &str, width: usize) -> String {
    let (mut fitted, mut used) = (String::new(), 0);
    // Where to cut if the text turns out longer: the last place that leaves a column for the ellipsis.
    let mut cut = 0;
    for (letter, columns) in safe(text) {
        if used + columns > width {
            fitted.truncate(cut);
            fitted.extend((width > 0).then_some('…'));
            return fitted;
        }
        used += columns;
        fitted.push(letter);
        if used < width {
            cut = fitted.len();
        }
    }
    fitted
}

/// The text in lines of at most `width` columns, broken at spaces where there are some, and at most
/// `lines` of them, the last one cut.
pub(super) fn wrap(text: &str, width: usize, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    // One look at what can be shown at all bounds the work.
    let text = fit(text, width.saturating_mul(lines + 1));
    let mut words = text.split(' ').peekable();
    while words.peek().is_some() {
        if wrapped.len() + 1 == lines {
            let rest: Vec<&str> = words.collect();
            wrapped.push(fit(&rest.join(" "), width));
            break;
        }
        let mut line = String::new();
        let mut used = 0;
        while let Some(word) = words.peek() {
            let columns = self::width(word) + usize::from(!line.is_empty());
            if !line.is_empty() && used + columns > width {
                break;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            used += columns;
            words.next();
        }
        wrapped.push(fit(&line, width));
    }
    wrapped
}

/// Letters and their columns: white space of any kind becomes one space, a control character its
/// picture, what would turn the direction of the line a mark, and invisible letters go.
fn safe(text: &str) -> impl Iterator<Item = (char, usize)> {
    let (mut after_space, mut marks) = (false, 0);
    text.chars().filter_map(move |letter| {
        if letter.is_whitespace() {
            return (!std::mem::replace(&mut after_space, true)).then_some((' ', 1));
        }
        let shown = match letter {
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter))?,
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => '\u{fffd}',
            '\u{2066}'..='\u{206f}' => '\u{fffd}',
            // Joiners and selectors change how wide their neighbours are drawn, each terminal its way.
            '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => {
                return None;
            }
            '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => return None,
            letter => letter,
        };
        let columns = shown.width().unwrap_or(1);
        marks = if columns == 0 { marks + 1 } else { 0 };
        after_space = false;
        (marks <= MARKS_PER_LETTER).then_some((shown, columns))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible_and_harmless() {
        assert_eq!(fit("\u{1b}[31mred\u{7}\u{7f}\u{9b}2J", 80), "␛[31mred␇␡\u{fffd}2J");
        assert_eq!(fit("a\r\nb\t\tc\u{2028}d   e", 80), "a b c d e");
        assert_eq!(fit("\u{202e}evil\u{2066}", 80), "\u{fffd}evil\u{fffd}");
        assert_eq!(fit("in\u{200b}vis\u{feff}ible\u{e0041}", 80), "invisible");
    }

    #[test]
    fn a_cut_leaves_no_half_letter_and_never_exceeds_the_width() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("日本語", 1), "…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        for width_wanted in 0..20 {
            for sample in [
                "👩‍👩‍👧‍👦 family",
                "ｆｕｌｌ ｗｉｄｔｈ",
                "e\u{301}\u{301}\u{301}",
                "한국어 텍스트 이름",
                "☁️☁️☁️☁️",
            ] {
                assert!(width(&fit(sample, width_wanted)) <= width_wanted, "{sample} {width_wanted}");
            }
        }
    }

    #[test]
    fn marks_without_end_are_cut() {
        let smear = format!("a{}", "\u{301}".repeat(10_000));
        assert_eq!(fit(&smear, 5).chars().count(), 1 + MARKS_PER_LETTER);
    }

    #[test]
    fn text_wraps_at_spaces_and_its_last_line_is_cut() {
        assert_eq!(wrap("card was declined by the bank", 12, 3), ["card was", "declined by", "the bank"]);
        assert_eq!(wrap("card was declined by the bank", 12, 2), ["card was", "declined by…"]);
        assert_eq!(wrap("indivisible", 5, 3), ["indi…"]);
        assert_eq!(wrap("", 5, 3), [""]);
        assert_eq!(wrap("a b", 0, 3).concat(), "");
    }
}
