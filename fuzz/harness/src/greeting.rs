use zmtp_codec::Greeting;

/// A greeting that arrives octet by octet.
///
/// A refused greeting stays refused for the same reason, none is accepted before its last octet,
/// and an accepted one has the same meaning when it is encoded again.
pub fn greeting(data: &[u8]) {
    let mut refusal = None;
    for len in 0..=data.len().min(Greeting::LEN + 1) {
        let judged = Greeting::decode(&data[..len]);
        if let Some(earlier) = &refusal {
            assert_eq!(judged.as_ref(), Err(earlier), "after {len} octets");
        }
        match judged {
            Ok(None) => assert!(len < Greeting::LEN),
            Ok(Some(greeting)) => {
                assert!(len >= Greeting::LEN);
                assert!(greeting.version.major >= 3);
                let ours = greeting.encode();
                assert_eq!(ours[10..32], data[10..32], "version and mechanism");
                assert_eq!(Greeting::decode(&ours), Ok(Some(greeting)));
            }
            Err(error) => refusal = Some(error),
        }
    }
}
