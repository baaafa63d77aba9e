//! Addresses of lists, with what is asked of them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// `path` with the fields that hold something as its query.
pub(super) fn of_list(path: &str, fields: &[(&str, &str)]) -> String {
    let parts = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    let query = parts.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_does_not_stand_in_it() {
        assert_eq!(of_list("/issues", &[("query", ""), ("sort", "")]), "/issues");
        let asked = [("query", "a&b=c d"), ("sort", ""), ("after", "7")];
        assert_eq!(of_list("/issues", &asked), "/issues?query=a%26b%3Dc%20d&after=7");
    }
}
