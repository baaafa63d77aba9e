//! Values that stand where a secret would and are none.

/// Values that hide nothing: empty, a language's nothing, a placeholder, or hidden already.
pub(super) fn is_trivial(value: &str) -> bool {
    const WORDS: [&str; 9] =
        ["none", "null", "nil", "undefined", "true", "false", "filtered", "redacted", "[]"];
    let trimmed = value.trim();
    trimmed.is_empty()
        || WORDS.iter().any(|word| word.eq_ignore_ascii_case(trimmed))
        || is_placeholder(trimmed)
        || is_masked(trimmed)
}

/// What stands where a value will be put: `%s`, `%(name)s`, `$1`, `?`, `${NAME}`, `{{ name }}`, `<name>`, `[name]`.
/// The whole text must be one: a hash such as `$2b$12$…` and a password may begin like one.
fn is_placeholder(value: &str) -> bool {
    const NUMBER_DIGITS_MAX: usize = 3;
    let is_number =
        |text: &str| text.len() <= NUMBER_DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name =
        |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '!'));
    let between = |open: &str, close: &str| value.strip_prefix(open)?.strip_suffix(close);
    let braced = value.trim_start_matches(['$', '#', '%']).strip_prefix('{');
    let braced = braced.and_then(|rest| rest.strip_suffix('}')).map(|rest| rest.trim_matches(['{', '}']));
    value.strip_prefix(['$', '?']).is_some_and(is_number)
        || matches!(value.as_bytes(), [b'%', letter] if letter.is_ascii_alphabetic())
        || [braced, between("%(", ")s"), between("<", ">"), between("[", "]")]
            .into_iter()
            .flatten()
            .any(is_name)
}

/// Stars or dots alone.
pub(super) fn is_masked(value: &str) -> bool {
    value.chars().all(|character| matches!(character, '*' | '•' | '·'))
}
