//! Numbers that identify people and money: cards, bank accounts, social security numbers.

/// The length of the payment card number at the start of `text`, separators included.
///
/// 13 to 19 digits of a known brand with a right check digit (Luhn), written together or in the brand's groups with
/// one kind of separator. The caller has seen that no letter or digit stands before.
pub(super) fn card_length(text: &[u8]) -> Option<usize> {
    let mut digits = [0_u8; CARD_DIGITS_MAX];
    let mut groups = [0_usize; CARD_GROUPS_MAX];
    let (mut count, mut group, mut at) = (0, 0, 0);
    let mut separator = None;
    while let Some(byte) = text.get(at).copied() {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = byte - b'0';
            *groups.get_mut(group)? += 1;
            count += 1;
        } else if matches!(byte, b' ' | b'-') && text.get(at + 1).is_some_and(u8::is_ascii_digit) {
            if *separator.get_or_insert(byte) != byte {
                break;
            }
            group += 1;
        } else {
            break;
        }
        at += 1;
    }
    // Part of a longer word (a hexadecimal id, a decimal fraction) is no number of its own.
    if text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return None;
    }
    let digits = digits.get(..count)?;
    let grouped = group == 0 || matches!(groups, [4, 4, 4, 4, 0 | 3] | [4, 6, 5, 0, 0]);
    (grouped && is_card_brand(digits) && passes_luhn(digits)).then_some(at)
}

const CARD_DIGITS_MAX: usize = 19;
/// Four groups of four and what is left of 19 digits.
const CARD_GROUPS_MAX: usize = 5;

fn is_card_brand(digits: &[u8]) -> bool {
    let lead =
        |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    match digits.len() {
        13 | 19 => lead(1) == 4,
        15 => matches!(lead(2), 34 | 37),
        14 => matches!(lead(3), 300..=305) || matches!(lead(2), 36 | 38),
        16 => {
            lead(1) == 4
                || matches!(lead(2), 51..=55 | 65)
                || matches!(lead(4), 2221..=2720 | 6011 | 3528..=3589)
                || matches!(lead(3), 644..=649)
        }
        _ => false,
    }
}

fn passes_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(if at % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// Whether `text` starts with a US social security number in its written form, `AAA-GG-SSSS`, that could have been
/// given out.
pub(super) fn starts_with_ssn(text: &[u8]) -> bool {
    let Some((number, behind)) = text.split_at_checked(SSN_BYTES) else { return false };
    let shaped = number.iter().enumerate().all(|(at, byte)| match at {
        3 | 6 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let ends =
        !behind.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let area = number.get(..3).unwrap_or_default();
    let given = !matches!(area, b"000" | b"666" | [b'9', ..])
        && number.get(4..6) != Some(b"00")
        && number.get(7..) != Some(b"0000");
    shaped && ends && given
}

pub(super) const SSN_BYTES: usize = 11;

/// The length of the IBAN at the start of `text`, blanks included: two letters, two digits, 11 to 30 letters and
/// digits, written together or in groups of four, with remainder 1 (ISO 13616).
pub(super) fn iban_length(text: &[u8]) -> Option<usize> {
    const CHARACTERS_MIN: usize = 15;
    const CHARACTERS_MAX: usize = 34;
    let mut characters = Vec::with_capacity(CHARACTERS_MAX);
    let (mut at, mut end) = (0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' if characters.len() == CHARACTERS_MAX => return None,
            b'0'..=b'9' | b'A'..=b'Z' => {
                characters.push(*byte);
                end = at + 1;
            }
            b' ' if characters.len() % 4 == 0 && end == at => {}
            _ => break,
        }
        at += 1;
        // A word in capitals behind the number is not part of it.
        if characters.len() >= CHARACTERS_MIN && ends_word(text, end) && iban_remainder(&characters) == 1 {
            return Some(end);
        }
    }
    None
}

fn ends_word(text: &[u8], end: usize) -> bool {
    !text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn iban_remainder(characters: &[u8]) -> u32 {
    let (head, tail) = characters.split_at(4.min(characters.len()));
    tail.iter().chain(head).fold(0, |remainder, character| match character {
        b'0'..=b'9' => (remainder * 10 + u32::from(character - b'0')) % 97,
        letter => (remainder * 100 + u32::from(letter - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_known_by_brand_grouping_and_check_digit() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "4222222222222",
        ] {
            assert_eq!(card_length(card.as_bytes()), Some(card.len()), "{card}");
            assert_eq!(card_length(format!("{card}, and").as_bytes()), Some(card.len()), "{card}");
        }
        for other in [
            "4111111111111112",
            "4111-1111 1111 1111",
            "411 1111111111111",
            "1795228726076550",
            "140116244966272",
            "41111111111111110000",
            "4111111111111111a",
            "0000000000000000",
            "2026-11-21",
        ] {
            assert_eq!(card_length(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn social_security_numbers_are_known_in_their_written_form() {
        for (text, expected) in [
            ("078-05-1120", true),
            ("078-05-1120.", true),
            ("078051120", false),
            ("000-05-1120", false),
            ("666-05-1120", false),
            ("900-05-1120", false),
            ("078-00-1120", false),
            ("078-05-0000", false),
            ("078-05-11201", false),
            ("078-05-1120-1", false),
            ("078-05-112", false),
        ] {
            assert_eq!(starts_with_ssn(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn ibans_are_known_by_their_remainder() {
        for (text, expected) in [
            ("DE89370400440532013000", Some(22)),
            ("DE89 3704 0044 0532 0130 00", Some(27)),
            ("DE89 3704 0044 0532 0130 00 BIC", Some(27)),
            ("GB29NWBK60161331926819", Some(22)),
            ("NO9386011117947", Some(15)),
            ("DE89370400440532013001", None),
            ("DE893704004405320130001", None),
            ("AB12", None),
        ] {
            assert_eq!(iban_length(text.as_bytes()), expected, "{text}");
        }
    }
}
