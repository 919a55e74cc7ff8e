//! Hexadecimal text, which v12 uses wherever an id leaves the binary frames.
//!
//! Written in lower case; read in either case, because what is compared afterwards
//! are bytes. Reading takes exactly the digits of the array asked for.

/// Lower-case digits of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(letter(byte >> 4));
        text.push(letter(byte & 15));
    }
    text
}

/// The digit of a value below 16.
fn letter(value: u8) -> char {
    char::from(if value < 10 { b'0' | value } else { b'W'.wrapping_add(value) })
}

/// The `N` bytes that `2 * N` digits say; none for any other length or character.
pub fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, odd) = text.as_chunks::<2>();
    if pairs.len() != N || !odd.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_exactly_its_digits() {
        assert_eq!(decode::<2>(b"00fF"), Some([0, 255]));
        for bad in ["", "00f", "00fff", "00fff0", "00fg", "00 f", "+0ff"] {
            assert_eq!(decode::<2>(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(decode::<1>(&[0xc3, 0xa9]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 20]) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
    }
}
