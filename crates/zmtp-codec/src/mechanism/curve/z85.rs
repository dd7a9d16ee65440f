//! Z85: four octets as five printable characters (RFC 32), for keys of 32 octets.

use zeroize::Zeroizing;

use crate::error::InvalidKey;

const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// How many characters a key has.
pub(super) const LEN: usize = 40;

pub(super) fn encode(octets: &[u8; 32]) -> String {
    let mut text = String::with_capacity(LEN);
    for group in octets.as_chunks::<4>().0 {
        let mut value = u32::from_be_bytes(*group);
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = value % 85;
            value /= 85;
        }
        let characters = digits.iter().filter_map(|digit| DIGITS.get(*digit as usize));
        text.extend(characters.map(|character| char::from(*character)));
    }
    text
}

pub(super) fn decode(text: &str) -> Result<Zeroizing<[u8; 32]>, InvalidKey> {
    let text = text.as_bytes();
    if text.len() != LEN {
        return Err(InvalidKey::Length { length: text.len() });
    }
    let mut octets = Zeroizing::new([0; 32]);
    let groups = octets.as_chunks_mut::<4>().0.iter_mut();
    for (index, (group, characters)) in groups.zip(text.chunks(5)).enumerate() {
        let position = index.saturating_mul(5);
        let mut value = 0_u32;
        for (offset, character) in characters.iter().enumerate() {
            let digit = DIGITS.iter().position(|digit| digit == character);
            let Some(digit) = digit.and_then(|digit| u32::try_from(digit).ok()) else {
                return Err(InvalidKey::Character { position: position.saturating_add(offset) });
            };
            // Five characters can encode more than four octets hold.
            value = value
                .checked_mul(85)
                .and_then(|value| value.checked_add(digit))
                .ok_or(InvalidKey::Group { position })?;
        }
        *group = value.to_be_bytes();
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_text() {
        // The keys of libzmq's manual, zmq_curve.
        let rows: [([u8; 32], &str); 3] = [
            ([0; 32], "0000000000000000000000000000000000000000"),
            ([0xFF; 32], "%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0"),
            (
                [
                    0xBB, 0x88, 0x47, 0x1D, 0x65, 0xE2, 0x65, 0x9B, 0x30, 0xC5, 0x5A, 0x53, 0x21,
                    0xCE, 0xBB, 0x5A, 0xAB, 0x2B, 0x70, 0xA3, 0x98, 0x64, 0x5C, 0x26, 0xDC, 0xA2,
                    0xB2, 0xFC, 0xB4, 0x3F, 0xC5, 0x18,
                ],
                "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
            ),
        ];
        for (octets, text) in rows {
            assert_eq!(encode(&octets), text);
            assert_eq!(*decode(text).unwrap(), octets);
        }
    }

    #[test]
    fn bad_texts_are_told_apart() {
        let good = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
        let rows = [
            (&good[1..], InvalidKey::Length { length: 39 }),
            ("", InvalidKey::Length { length: 0 }),
            (&good.replace("IaL", "I~L"), InvalidKey::Character { position: 33 }),
            (&good.replace("Yne@$", "%nSc1"), InvalidKey::Group { position: 0 }),
            (&good.replace("V{hID", "#####"), InvalidKey::Group { position: 35 }),
            (&good.replace("IaL", "I\u{e4}L")[..41], InvalidKey::Length { length: 41 }),
        ];
        for (text, error) in rows {
            assert_eq!(decode(text), Err(error), "{text}");
        }
    }
}
