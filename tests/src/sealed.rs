//! Bodies of messages that show whether any octet is missing or changed.

/// `body`, and a checksum behind it.
pub fn seal(mut body: Vec<u8>) -> Vec<u8> {
    body.extend_from_slice(&checksum(&body).to_be_bytes());
    body
}

/// The body that was [sealed](seal).
///
/// # Panics
/// When it is not whole.
pub fn opened(sealed: &[u8]) -> &[u8] {
    let (body, sum) = sealed.split_last_chunk::<8>().expect("the message is torn");
    assert_eq!(*sum, checksum(body).to_be_bytes(), "the message is torn");
    body
}

/// FNV-1a.
fn checksum(octets: &[u8]) -> u64 {
    octets.iter().fold(0xCBF2_9CE4_8422_2325, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
