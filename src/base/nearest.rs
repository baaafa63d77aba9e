//! Which word somebody probably meant.

/// The candidate that differs least from `word`, if it is near enough to be worth suggesting: at most a third of
/// the longer text, and at least two changes are always allowed for words of four characters or more.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| {
            let longer = candidate.chars().count().max(length);
            *distance <= (longer / 3).max(usize::from(longer >= 4) * 2)
        })
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours cost one each.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut two_ago: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (row, l) in left.chars().enumerate() {
        let mut current = Vec::with_capacity(right.len() + 1);
        current.push(row + 1);
        for (column, r) in right.iter().enumerate() {
            let replace = previous[column] + usize::from(l != *r);
            let mut cost = replace.min(previous[column + 1] + 1).min(current[column] + 1);
            let swapped = column > 0 && left_before == Some(*r) && right[column - 1] == l;
            if swapped {
                cost = cost.min(two_ago[column - 1] + 1);
            }
            current.push(cost);
        }
        left_before = Some(l);
        two_ago = std::mem::replace(&mut previous, current);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["smtp.host", "smtp.port", "smtp.password", "alerts.email", "retention.days"];
        for (word, expected) in [
            ("smtp.hots", Some("smtp.host")),
            ("smtp.pasword", Some("smtp.password")),
            ("smtp.prot", Some("smtp.port")),
            ("alert.email", Some("alerts.email")),
            ("retention.day", Some("retention.days")),
            ("webhooks.retries", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys.into_iter()), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(left in "[a-d]{0,8}", right in "[a-d]{0,8}") {
            prop_assert_eq!(distance(&left, &right), distance(&right, &left));
            prop_assert_eq!(distance(&left, &right) == 0, left == right);
        }
    }
}
