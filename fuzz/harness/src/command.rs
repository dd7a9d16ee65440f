use bytes::{Bytes, BytesMut};
use zmtp_codec::{Command, Frame, Message, Metadata, ProtocolError, Subscription, Version};

/// Decodes the same octets as the body of a command, as metadata and as a subscription in a
/// message.
///
/// A decoded value has the same meaning when it is encoded again.
pub fn command(data: &[u8]) {
    let octets = Bytes::copy_from_slice(data);
    if let Ok(command) = Command::decode(octets.clone()) {
        let mut sent = BytesMut::new();
        command.encode(&mut sent);
        // libzmq's PLAIN servers begin an ERROR with a wrong length, and of a long context the first
        // 16 octets are kept; all other commands have the same octets again.
        let has_longest = matches!(
            &command,
            Command::Ping { context, .. } | Command::Pong { context } if context.len() == 16
        );
        let is_cut = has_longest && data.starts_with(&sent[2..]);
        assert!(data.starts_with(b"\x5ERROR") || sent.ends_with(data) || is_cut);
        assert_eq!(read_command(&mut sent), Ok(command));
    }
    if let Ok(metadata) = Metadata::decode(octets) {
        same_properties(&metadata);
    }
    if let Some(subscription) = Subscription::from_message(&Message::copy_from(data)) {
        assert_eq!(data[1..], *subscription.topic());
        same_subscription(&subscription);
    }
}

fn same_properties(metadata: &Metadata) {
    let mut built = Metadata::new();
    for (name, value) in metadata.iter() {
        built = built.with(name, value).expect("a property that was understood can be sent");
        assert_eq!(metadata.get(&name.to_ascii_uppercase()), metadata.get(name));
        assert!(metadata.get(name).is_some());
    }
    assert_eq!(&built, metadata);
    assert_eq!(built.encoded_len(), metadata.encoded_len());
}

fn same_subscription(subscription: &Subscription) {
    let mut sent = BytesMut::new();
    subscription.encode(Version::V3_1, &mut sent);
    let as_command = match subscription {
        Subscription::Subscribe(topic) => Command::Subscribe(topic.clone()),
        Subscription::Cancel(topic) => Command::Cancel(topic.clone()),
    };
    assert_eq!(read_command(&mut sent), Ok(as_command));

    subscription.encode(Version::V3_0, &mut sent);
    match Frame::decode(&mut sent, u64::MAX) {
        Ok(Some(Frame::Message { more: false, body })) => {
            let again = Subscription::from_message(&Message::from(body));
            assert_eq!(again.as_ref(), Some(subscription));
        }
        other => panic!("a subscription to a 3.0 peer is one message, not {other:?}"),
    }
}

fn read_command(sent: &mut BytesMut) -> Result<Command, ProtocolError> {
    match Frame::decode(sent, u64::MAX) {
        Ok(Some(Frame::Command(body))) if sent.is_empty() => Command::decode(body),
        other => panic!("a command is one command frame, not {other:?}"),
    }
}
