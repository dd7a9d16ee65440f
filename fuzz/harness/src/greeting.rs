use zmtp_codec::Greeting;

/// A greeting that arrives octet by octet.
///
/// What has been refused stays refused for the same reason, nothing is accepted before its last
/// octet, and what is accepted means the same when we send it ourselves.
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
