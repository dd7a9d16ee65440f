//! Code that the peers of zmtp-socket, async and blocking, share. Each is a program of its own: in
//! one program, the compiler would not inline functions that both call.

use rig::{Args, Mode, curve};
use zmtp_socket::{
    CurveKeyPair, CurveSecretKey, HighWaterMark, PubOptions, SubOptions, WhenFull, XPubOptions,
};

/// The publisher's options.
pub fn pub_options(args: &Args) -> PubOptions {
    let when_full = if args.nodrop { WhenFull::Wait } else { WhenFull::DropNew };
    let mut options = PubOptions::new().when_full(when_full);
    options = match args.hwm {
        // No mark, so that nothing is lost. Where `send` waits, and for idle subscribers, the
        // defaults lose nothing.
        0 if args.nodrop || args.mode == Mode::Idle => options,
        0 => options.send_hwm(HighWaterMark::Unlimited).send_hwm_octets(usize::MAX),
        count => options.send_hwm(HighWaterMark::messages(count as usize)),
    };
    if args.topic_count > 0 {
        options = options.max_subscriptions(usize::MAX).max_subscription_octets(usize::MAX);
    }
    if args.sndbuf != 0 {
        options = options.send_buffer(args.sndbuf);
    }
    if args.curve {
        options = options.curve_server(keys(curve::SERVER_SECRET));
    }
    options
}

/// A subscriber's options.
pub fn sub_options(args: &Args) -> SubOptions {
    let options = match args.hwm {
        // At the default mark the subscriber stops reading, and loses nothing.
        0 => SubOptions::new(),
        count => SubOptions::new().receive_hwm(HighWaterMark::messages(count as usize)),
    };
    if args.curve {
        let server_key = curve::SERVER_PUBLIC.parse().expect("a key");
        return options.curve_client(server_key, keys(curve::CLIENT_SECRET));
    }
    options
}

/// Those of a proxy, on the side of the subscribers.
pub fn backend_options() -> XPubOptions {
    XPubOptions::new().when_full(WhenFull::Wait)
}

fn keys(secret: &str) -> CurveKeyPair {
    CurveKeyPair::from(secret.parse::<CurveSecretKey>().expect("a key"))
}
