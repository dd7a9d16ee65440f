use zmtp_socket::fuzzing::{WsSetup, hear};

use crate::script::Script;

/// The longest HTTP head that is compared. The reason why a longer one is refused depends on how it
/// is divided.
const HEAD_MAX: usize = 8 << 10;

/// A WebSocket connection of either side, at its upgrade or after it, with any octets of the peer.
///
/// Two octets select how it begins and how its input is divided; the others are the input. The
/// driver reads the same however the input is divided. Neither its input nor its output is much
/// more than the peer has sent.
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
    // A greeting and a READY, and a longer header for a large message.
    assert!(cut.octets.len() <= 2 * input.len() + 300, "{} octets read", cut.octets.len());
    // Pongs have masks; before the upgrade, refusals are reported with escapes.
    let said = if setup.upgrades { 16 } else { 3 };
    assert!(cut.said <= said * input.len() + 4096, "{} octets said", cut.said);
    if input.len() <= HEAD_MAX {
        let whole = hear(setup, input, usize::MAX);
        assert_eq!((&whole.octets, &whole.error), (&cut.octets, &cut.error));
    }
}
