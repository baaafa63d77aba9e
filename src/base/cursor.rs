//! Where the next page of a list begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The last line of a page of what is listed by rank, then by name. Written as text that survives an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub rank: u8,
    pub name: String,
    pub id: i64,
}

impl Cursor {
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (rank, rest) = bytes.split_first()?;
        let (id, name) = rest.split_first_chunk::<8>()?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        Some(Self { rank: *rank, name, id: i64::from_le_bytes(*id) })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [&[self.rank], self.id.to_le_bytes().as_slice(), self.name.as_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_an_address() {
        let cursor = Cursor { rank: 5, name: "Zahlung – é".to_owned(), id: i64::MAX };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "x", "====", "AAAA"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
