//! The options of the sockets in the target `sockets`.

use std::time::Duration;

use zmtp_socket::{
    CurveKeyPair, CurveSecretKey, Duplicates, Heartbeat, HighWaterMark, Options, PlainUsers,
    Verbosity, Version, WhenFull, XPubOptions, XSubOptions, allow_keys,
    kind::{Kind, Publishes, ReceivesMessages},
};

use crate::script::Script;

const HWM: [usize; 4] = [1, 2, 5, 1000];

/// Three octets select the options of the sockets. If the low four bits of the fourth are 8 and the
/// high ones are not zero, the high ones select which sockets are XPUB and XSUB, and a fifth
/// selects their options.
#[derive(Clone, Copy)]
pub(crate) struct Cast {
    first: u8,
    second: u8,
    third: u8,
    family: u8,
    hearing: u8,
}

impl Cast {
    pub(crate) fn draw(script: &mut Script<'_>) -> Self {
        let [first, second, third] = [script.octet(), script.octet(), script.octet()];
        let (mut family, mut hearing) = (0, 0);
        if script.peek() & 15 == 8 && script.peek() > 15 {
            (family, hearing) = (script.octet(), script.octet());
        }
        Self { first, second, third, family, hearing }
    }

    /// How many octets the tampered link holds, and how many it gives at once.
    pub(crate) fn link(self) -> (usize, usize) {
        let room = [64, 300, 4096, 64 << 10][usize::from(self.first >> 5 & 3)];
        let fragment = [1, 7, 64, 64 << 10][usize::from(self.third & 3)];
        (room, fragment)
    }

    pub(crate) fn is_xpub(self) -> bool {
        self.family & 16 != 0
    }

    /// Whether the subscriber on the tampered link is an XSUB.
    pub(crate) fn is_xsub(self) -> bool {
        self.family & 32 != 0
    }

    pub(crate) fn is_manual(self) -> bool {
        self.family & 64 != 0
    }

    /// Applies to the XPUB and the honest XSUB.
    pub(crate) fn only_first(self) -> bool {
        self.family & 128 == 0
    }

    pub(crate) fn verbosity(self) -> Verbosity {
        match self.hearing & 3 {
            0 => Verbosity::Distinct,
            1 => Verbosity::Subscriptions,
            _ => Verbosity::All,
        }
    }

    pub(crate) fn welcome(self) -> Option<&'static str> {
        (self.hearing & 4 != 0).then_some("welcome")
    }

    pub(crate) fn hwm(self) -> usize {
        if self.first & 7 == 5 { 1 } else { HWM[usize::from(self.first >> 3 & 3)] }
    }

    pub(crate) fn max_topics(self) -> usize {
        [1, 3, 8, 1_000_000][usize::from(self.second >> 2 & 3)]
    }

    /// The options of the publisher.
    pub(crate) fn publishing<T: Publishes>(self, mut options: Options<T>) -> Options<T> {
        let when_full = match self.first & 7 {
            1 => WhenFull::DropOldest,
            2 => WhenFull::Disconnect,
            3 | 7 => WhenFull::Wait,
            4 => WhenFull::WaitFor(Duration::from_secs(1)),
            _ => WhenFull::DropNew,
        };
        options = options
            .send_hwm(HighWaterMark::messages(self.hwm()))
            .when_full(when_full)
            .max_handshakes(1 + usize::from(self.second & 3))
            .max_subscriptions(self.max_topics())
            .max_subscription_octets(1 << 20);
        if self.first & 7 == 5 {
            options = options.conflate(true);
        }
        if self.second & 16 != 0 {
            options = options.heartbeat(heartbeat());
        }
        if self.is_curve() {
            let judge = allow_keys([keys(2).public()]);
            options = options.curve_server(keys(1)).authorize(judge);
        } else if self.is_plain() {
            options = options.plain_server(PlainUsers::new().user("user", "secret"));
        }
        if self.third & 32 != 0 {
            options = options.duplicate_subscriptions(Duplicates::AsSet);
        }
        options = self.limited(options);
        if self.third & 128 != 0 {
            options = options.max_connections(2);
        }
        options
    }

    /// The options that only an XPUB has.
    pub(crate) fn hearing(self, options: XPubOptions) -> XPubOptions {
        let options = options
            .verbosity(self.verbosity())
            .manual(self.is_manual())
            .only_first_subscribe(self.only_first());
        match self.welcome() {
            Some(welcome) => options.welcome(welcome),
            None => options,
        }
    }

    /// The options of the subscriber on the tampered link.
    pub(crate) fn wary<T: ReceivesMessages>(self, options: Options<T>) -> Options<T> {
        let mut options = self
            .known(options)
            .receive_hwm(HighWaterMark::messages(HWM[usize::from(self.third >> 2 & 3)]))
            .conflate(self.first & 128 != 0)
            .retry_refused(self.second & 128 != 0);
        if self.second & 32 != 0 {
            options = options.heartbeat(heartbeat());
        }
        if self.third & 16 != 0 {
            options = options.version(Version::V3_0);
        }
        self.limited(options)
    }

    /// The options that only an XSUB on the tampered link has.
    pub(crate) fn asking(self, options: XSubOptions) -> XSubOptions {
        options
            .only_first_subscribe(self.asks_only_first())
            .send_hwm(HighWaterMark::messages(HWM[usize::from(self.hearing >> 4 & 3)]))
    }

    /// As the publisher, or less: this XSUB must not send as a message what the publisher would
    /// take for a subscription.
    pub(crate) fn asks_only_first(self) -> bool {
        self.only_first() && self.hearing & 8 == 0
    }

    /// The credentials with which the publisher lets a subscriber in.
    pub(crate) fn known<T: Kind>(self, options: Options<T>) -> Options<T> {
        if self.is_curve() {
            options.curve_client(keys(1).public(), keys(2))
        } else if self.is_plain() {
            options.plain_client("user", "secret")
        } else {
            options
        }
    }

    fn is_curve(self) -> bool {
        self.first & 7 >= 6
    }

    fn is_plain(self) -> bool {
        self.second & 64 != 0
    }

    fn limited<T: Kind>(self, options: Options<T>) -> Options<T> {
        if self.third & 64 == 0 {
            return options;
        }
        // An INITIATE of CURVE is long.
        let handshake = if self.is_curve() { 300 } else { 64 };
        options
            .max_message_size(1200)
            .max_message_parts(2)
            .max_command_size(64)
            .max_handshake_frame_size(handshake)
    }
}

fn heartbeat() -> Heartbeat {
    Heartbeat::every(Duration::from_secs(1)).with_ttl(Duration::from_secs(3))
}

/// The same keys in each run.
pub(crate) fn keys(seed: u8) -> CurveKeyPair {
    CurveSecretKey::from([seed; 32]).into()
}
