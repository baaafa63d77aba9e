//! Figures as people read them: one way to write each, on pages, in mails and in verdicts.

/// A share of 1 in percent: `99.95%`. Rounded down, for 99.999% must not be called 100.
pub fn percent(share: f64) -> String {
    let hundredths = (share * 1e4).floor() / 1e2;
    if share >= 1.0 { "100%".to_owned() } else { format!("{hundredths:.2}%") }
}

/// As [`size`].
#[expect(clippy::cast_precision_loss, reason = "a tenth is shown")]
pub fn bytes(count: u64) -> String {
    size(count as f64)
}

/// So many bytes in the unit that matters, of 1,000: `12 B`, `1.2 kB`, `300 MB`. Cut to a tenth, so that nothing is
/// called larger than it is.
pub fn size(bytes: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes.abs() >= *unit) {
        Some((unit, name)) => format!("{} {name}", (bytes / (unit / 10.0)).trunc() / 10.0),
        None => format!("{} B", (bytes * 1e3).round() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up() {
        let table = [(1.0, "100%"), (0.999_999, "99.99%"), (0.9995, "99.95%"), (0.0, "0.00%")];
        for (share, says) in table {
            assert_eq!(percent(share), says);
        }
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_matters() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1_250, "1.2 kB"),
            (10_000, "10 kB"),
            (999_999, "999.9 kB"),
            (2_300_000_000, "2.3 GB"),
            (104_857_600, "104.8 MB"),
            (7_000_000_000_000, "7 TB"),
        ];
        for (count, says) in table {
            assert_eq!(bytes(count), says);
        }
        assert_eq!((size(-1_500.0).as_str(), size(0.5).as_str()), ("-1.5 kB", "0.5 B"));
    }
}
