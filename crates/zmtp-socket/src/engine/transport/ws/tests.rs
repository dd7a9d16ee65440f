use super::inbound::{Breach, Inbound, Step};
use super::outbound::Outbound;
use super::*;

/// The octets that the driver reads from an input that arrives in two pieces, the other steps, and the
/// breach that ended it.
fn read(profile: Profile, input: &[u8], cut: usize) -> (Vec<u8>, Vec<Step>, Option<Breach>) {
    let mut inbound = Inbound::new(Role::Server, profile, 64);
    let (mut octets, mut said, mut rest) = (Vec::new(), Vec::new(), BytesMut::new());
    for piece in [&input[..cut], &input[cut..]] {
        rest.extend_from_slice(piece);
        loop {
            // So little room that everything is cut on this side too.
            let mut room = [0; 7];
            let mut room = ReadBuf::new(&mut room);
            let step = inbound.step(&mut rest, &mut room);
            octets.extend_from_slice(room.filled());
            match step {
                Ok(Step::Octets) => {}
                Ok(Step::Starved) => break,
                Ok(step) => said.push(step),
                Err(breach) => return (octets, said, Some(breach)),
            }
        }
    }
    (octets, said, None)
}

/// The greeting that stands for the peer's.
const GREETING: &[u8] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[test]
fn what_comes_is_the_same_however_it_is_cut() {
    let input = b"\x82\x83\x01\x02\x03\x04\x01oj\
        \x89\x81\0\0\0\0!\x82\x82\0\0\0\0\x01a\x82\x81\0\0\0\0\x00\
        \x02\x82\x10\x20\x30\x40\x10B\x8A\x80\0\0\0\0\x00\x81\0\0\0\0c\x80\x80\0\0\0\0\x88\x80\0\0\0\0";
    let expected =
        [GREETING, b"\x04\x15\x05READY\x08Identity\0\0\0\x02mi", b"\x01\x01a\x00\x00\x00\x02bc"]
            .concat();
    for cut in 0..=input.len() {
        let (octets, said, breach) = read(Profile::Bare, input, cut);
        assert_eq!(
            octets.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "cut at {cut}"
        );
        assert_eq!(said, [Step::Ping("!".into()), Step::Pong, Step::Close], "cut at {cut}");
        assert!(breach.is_none(), "cut at {cut}: {breach:?}");
    }
}

#[test]
fn where_there_is_a_mechanism_its_commands_pass() {
    let input = b"\x82\x87\0\0\0\0\x02\x05READY\x82\x82\0\0\0\0\x00a";
    let (octets, _, breach) = read(Profile::Null, input, 3);
    assert_eq!(octets, [GREETING, b"\x04\x06\x05READY\x00\x01a"].concat());
    assert!(breach.is_none(), "{breach:?}");
}

#[test]
fn no_octets_panic_and_a_breach_is_the_same_however_they_are_cut() {
    let mut rng = fastrand::Rng::with_seed(45);
    for _ in 0..20_000 {
        let mut input: Vec<u8> = (0..rng.usize(..40)).map(|_| rng.u8(..)).collect();
        // In about half of the inputs, the first frame has a valid header.
        if let [first, second, ..] = &mut input[..]
            && rng.bool()
        {
            (*first, *second) =
                (rng.choice([0x82, 2, 0x80, 0x89, 0x88]).expect("a choice"), 0x80 | rng.u8(..9));
        }
        let whole = read(Profile::Bare, &input, 0);
        let cut = read(Profile::Bare, &input, rng.usize(..=input.len()));
        assert_eq!((&whole.0, &whole.1), (&cut.0, &cut.1), "{}", input.escape_ascii());
        assert_eq!(whole.2.map(|it| it.to_string()), cut.2.map(|it| it.to_string()));
    }
}

#[test]
fn what_goes_is_the_same_however_it_is_cut() {
    let input = [
        GREETING,
        b"\x04\x28\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x02me",
        b"\x04\x0B\x09SUBSCRIBEA\x04\x07\x06CANCEL\x04\x0A\x04PING\0\0\x01\x02\x03",
        b"\x01\x02ab\x00\x00\x02\0\0\0\0\0\0\0\x01c\x04\x07\x05ERROR\x00",
    ]
    .concat();
    let bare: &[u8] = b"\x82\x03\x00me\x82\x03\x00\x01A\x82\x02\x00\x00\x89\x03\x01\x02\x03\
        \x82\x03\x01ab\x82\x01\x00\x82\x02\x00c";
    let null: &[u8] = b"\x82\x29\x02\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x02me\
        \x82\x03\x00\x01A\x82\x02\x00\x00\x89\x03\x01\x02\x03\
        \x82\x03\x01ab\x82\x01\x00\x82\x02\x00c\x82\x08\x02\x05ERROR\x00";
    for (profile, expected) in [(Profile::Bare, bare), (Profile::Null, null)] {
        for cut in 0..=input.len() {
            let mut outbound = Outbound::new(Role::Server, profile);
            for piece in [&input[..cut], &input[cut..]] {
                assert_eq!(outbound.write(piece).expect("our own octets"), piece.len());
            }
            let output = outbound.output().escape_ascii().to_string();
            assert_eq!(output, expected.escape_ascii().to_string(), "{profile:?}, cut at {cut}");
        }
    }
}

#[test]
fn a_control_frame_waits_for_the_end_of_a_message_and_a_pong_for_room() {
    let mut outbound = Outbound::new(Role::Server, Profile::Bare);
    outbound.write(GREETING).expect("our own octets");
    outbound.write(b"\x00\x03ab").expect("our own octets");
    outbound.pong("1".into());
    outbound.pong("2".into());
    assert_eq!(&outbound.output()[..], b"\x82\x04\x00ab");
    outbound.write(b"c").expect("our own octets");
    assert_eq!(&outbound.output()[..], b"\x82\x04\x00abc\x8A\x012", "the last ping is answered");
    outbound.output().clear();

    let large = [&b"\x02\0\0\0\0\0\x02\0\0"[..], &[7; 0x2_0000]].concat();
    let taken = outbound.write(&large).expect("our own octets");
    assert!(taken < large.len() && outbound.is_full());
    outbound.close(CloseCode::Normal);
    assert!(!outbound.is_closed(), "not within a message");

    let mut outbound = Outbound::new(Role::Server, Profile::Bare);
    outbound.write(GREETING).expect("our own octets");
    outbound.write(&[b"\x02\0\0\0\0\0\x01\0\0", &[7; 0x1_0000][..]].concat()).expect("our own");
    assert!(outbound.is_full());
    outbound.pong("3".into());
    outbound.output().clear();
    outbound.written();
    assert_eq!(&outbound.output()[..], b"\x8A\x013", "when there is room");
}
