use zmtp_socket::fuzzing::{WsSetup, hear};

use crate::script::Script;

/// The longest head of HTTP that is taken. Of a longer one, the reason why it is refused depends on the cuts.
const HEAD_MAX: usize = 8 << 10;

/// A WebSocket connection of either side, at its upgrade or behind it, and any octets of the peer.
///
/// Two octets say how it begins and how its input is cut; the others are the input. The driver reads the same
/// however it is cut, and neither what it reads nor what the connection says is much more than the peer has sent.
pub fn ws(data: &[u8]) {
    let mut script = Script::new(data);
    let flags = script.octet();
    let piece = script.octet();
    let setup = WsSetup {
        is_client: flags & 1 != 0,
        upgrades: flags & 2 != 0,
        is_established: flags & 4 != 0,
        profile: flags >> 3,
    };
    let input = script.rest();
    let cut = hear(setup, input, piece.into());
    // Greeting, READY; and a longer header for a large message.
    assert!(cut.octets.len() <= 2 * input.len() + 300, "{} octets read", cut.octets.len());
    // Pongs with masks; before the upgrade, what is refused is told with escapes.
    let said = if setup.upgrades { 16 } else { 3 };
    assert!(cut.said <= said * input.len() + 4096, "{} octets said", cut.said);
    if input.len() <= HEAD_MAX {
        let whole = hear(setup, input, usize::MAX);
        assert_eq!((&whole.octets, &whole.error), (&cut.octets, &cut.error));
    }
}
