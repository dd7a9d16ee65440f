//! Writes the seeds of all targets to `fuzz/corpus`:
//! `cargo run -p zmtp-fuzz-harness --example seeds`.

use std::{fs, io, path::Path};

/// The name of a seed, and its octets in parts.
type Seed = (&'static str, &'static [&'static [u8]]);

/// Greeting up to the mechanism, and from behind it on.
const BEGIN_3_1: &[u8] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01";
const BEGIN_3_0: &[u8] = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x00";
const NULL: &[u8] = b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const PLAIN: &[u8] = b"PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const CURVE: &[u8] = b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const CLIENT: &[u8] = b"\0";
const SERVER: &[u8] = b"\x01";
const END: &[u8] = &[0; 31];

const READY_SUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";
const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";
const READY_PULL: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL";
const HELLO: &[u8] = b"\x04\x12\x05HELLO\x04user\x06secret";
const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";
const INITIATE: &[u8] = b"\x04\x1C\x08INITIATE\x0BSocket-Type\0\0\0\x03SUB";
const SUBSCRIBE: &[u8] = b"\x04\x0F\x09SUBSCRIBE10001";
const CANCEL: &[u8] = b"\x04\x0C\x06CANCEL10001";
const TAKE_MESSAGE: &[u8] = b"\x00\x06\x0110001";
const DROP_MESSAGE: &[u8] = b"\x00\x06\x0010001";
const PING: &[u8] = b"\x04\x0A\x04PING\0\x0Aabc";
const ERROR: &[u8] = b"\x04\x0A\x05ERROR\x03400";
const WEATHER: &[u8] = b"\x00\x0B10001 17 40";

// The bits of the first octet of a connection's instructions: our socket type, and how far the handshake is.
const PUB: u8 = 0;
const SUB: u8 = 1;
const AT_3_0: u8 = 4;
const PLAIN_CLIENT: u8 = 8;
const PLAIN_SERVER: u8 = 12;
const DENYING: u8 = 16;
const BEATING: u8 = 32;
const GREETED: u8 = 64;
const READY: u8 = 192;
const CURVE_CLIENT: u8 = 128;
const CURVE_SERVER: u8 = 132;
const CURVE_READY: u8 = 8;

const GREETING: &[Seed] = &[
    ("null-3.1", &[BEGIN_3_1, NULL, CLIENT, END]),
    ("null-3.0", &[BEGIN_3_0, NULL, CLIENT, END]),
    ("plain-server", &[BEGIN_3_1, PLAIN, SERVER, END]),
    ("curve", &[BEGIN_3_1, CURVE, CLIENT, END]),
    ("version-4", &[b"\xFF\0\0\0\0\0\0\0\x01\x7F\x04\x07", NULL, CLIENT, END]),
    ("zmtp-2.0", &[b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01\x02\0\0"]),
    ("zmtp-1.0", &[b"\x01\0"]),
    ("zmtp-1.0-long", &[b"\xFF\0\0\0\0\0\0\x01\x00\x00"]),
    ("http", &[b"GET / HTTP/1.1\r\n"]),
];

const OBSERVER: &[Seed] = &[
    (
        "subscriber",
        &[b"\x05", BEGIN_3_1, NULL, CLIENT, END, READY_SUB, SUBSCRIBE, DROP_MESSAGE, PING],
    ),
    (
        "publisher",
        &[b"\x01", BEGIN_3_0, NULL, CLIENT, END, READY_PUB, WEATHER, b"\x01\x01\x01", PING],
    ),
    ("plain-client", &[b"\x07", BEGIN_3_1, PLAIN, CLIENT, END, HELLO, INITIATE, TAKE_MESSAGE]),
    ("plain-server", &[b"\x07", BEGIN_3_1, PLAIN, SERVER, END, WELCOME, ERROR]),
    (
        "curve",
        &[
            b"\x09",
            BEGIN_3_1,
            CURVE,
            CLIENT,
            END,
            b"\x04\x06\x05HELLO\x04\x0A\x08INITIATEx",
            WEATHER,
        ],
    ),
    (
        "curve-giant",
        &[
            b"\x09",
            BEGIN_3_1,
            CURVE,
            SERVER,
            END,
            b"\x04\x06\x05READY",
            b"\x02\0\0\0\0\0\0\x01\0",
            WEATHER,
        ],
    ),
    ("another-protocol", &[b"\x01", b"GET / HTTP/1.1\r\n"]),
    ("message-in-the-handshake", &[b"\x01", BEGIN_3_1, NULL, CLIENT, END, WEATHER]),
    ("too-large", &[b"\x01", BEGIN_3_1, NULL, CLIENT, END, READY_SUB, b"\x02\0\0\0\0\0\0\x02\x59"]),
];

const FRAME: &[Seed] = &[
    ("messages", &[b"\x01\0\x03", WEATHER, b"\x01\x05multi\x00\x04part\x00\x00"]),
    ("commands-between", &[b"\x01\0\x01\x01\x01a", PING, b"\x00\x01b", SUBSCRIBE]),
    ("long-form-of-a-short-body", &[b"\x01\0\x04\x02\0\0\0\0\0\0\0\x03abc"]),
    ("long", &[b"\x02\0\x40\x02\0\0\0\0\0\0\x01\x2C", &[b'x'; 300], WEATHER]),
    ("at-the-limit", &[b"\x00\x0B\x02", WEATHER, b"\x00\x0C012345678901"]),
    ("giant", &[b"\xFF\xFF\x01\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"]),
    ("too-large-to-express", &[b"\xFF\xFF\x01\x02\x80\0\0\0\0\0\0\0"]),
    ("reserved-flag", &[b"\x01\0\x01", WEATHER, b"\x08\x01a"]),
    ("more-on-a-command", &[b"\x01\0\x01\x05\x05\x04PONG"]),
];

const COMMAND: &[Seed] = &[
    ("ready", &[b"\x05READY\x0BSocket-Type\0\0\0\x03PUB\x08Identity\0\0\0\0"]),
    ("ready-case", &[b"\x05READY\x0Bsocket-TYPE\0\0\0\x03PUB\x03X-a\0\0\0\x011\x03x-A\0\0\0\0"]),
    ("ready-cut", &[b"\x05READY\x0BSocket-Type\0\0\0\x04PUB"]),
    ("error", &[b"\x05ERROR\x0Fsomething wrong"]),
    ("error-trailing", &[b"\x05ERROR\x03400!"]),
    ("subscribe", &[b"\x09SUBSCRIBE10001"]),
    ("subscribe-all", &[b"\x09SUBSCRIBE"]),
    ("cancel", &[b"\x06CANCEL10001"]),
    ("ping", &[b"\x04PING\0\x0Aabc"]),
    ("ping-context-16", &[b"\x04PING\xFF\xFF0123456789abcdef"]),
    ("ping-context-17", &[b"\x04PING\xFF\xFF0123456789abcdefg"]),
    ("pong", &[b"\x04PONGabc"]),
    ("hello", &[b"\x05HELLO\x04user\x06secret"]),
    ("hello-empty", &[b"\x05HELLO\0\0"]),
    ("welcome", &[b"\x07WELCOME"]),
    ("initiate", &[b"\x08INITIATE\x0BSocket-Type\0\0\0\x03SUB"]),
    ("unknown", &[b"\x05JOINED123"]),
    ("metadata", &[b"\x0BSocket-Type\0\0\0\x03XPUB\x01a\0\0\0\x02\0\xFF"]),
    ("subscription-message", &[b"\x0110001"]),
    ("cancel-message", &[b"\x0010001"]),
];

const CONNECTION: &[Seed] = &[
    (
        "pub-from-the-greeting-on",
        &[
            &[PUB, 64],
            BEGIN_3_1,
            NULL,
            CLIENT,
            END,
            &[27],
            READY_SUB,
            &[17],
            SUBSCRIBE,
            &[14],
            CANCEL,
        ],
    ),
    (
        "pub-in-one-segment",
        &[&[PUB, 107], BEGIN_3_0, NULL, CLIENT, END, READY_SUB, TAKE_MESSAGE, DROP_MESSAGE],
    ),
    ("pub-of-a-greeted-sub", &[&[PUB | GREETED, 27], READY_SUB, &[8], TAKE_MESSAGE]),
    ("pub-meets-pull", &[&[PUB | GREETED, 28], READY_PULL]),
    ("pub-meets-curve", &[&[PUB, 64], BEGIN_3_1, CURVE, CLIENT, END]),
    (
        "sub-and-messages",
        &[&[SUB | READY, 13], WEATHER, &[7], b"\x01\x05multi", &[18], PING, b"\x00\x04part"],
    ),
    ("sub-of-3.0", &[&[SUB | AT_3_0 | READY, 0xF6, 13], WEATHER, &[0xF4]]),
    ("sub-refused", &[&[SUB | GREETED, 12], ERROR, &[27], READY_PUB]),
    ("sub-and-more-than-it-takes", &[&[SUB | READY, 9], b"\x02\0\0\0\0\0\0\x02\x59"]),
    (
        "sub-and-too-many-parts",
        &[&[SUB | READY, 14], b"\x01\0\x01\0\x01\0\x01\0\x01\0\x01\0\x00\0"],
    ),
    ("message-in-the-handshake", &[&[SUB | GREETED, 13], WEATHER]),
    ("ready-twice", &[&[PUB | READY, 27], READY_SUB]),
    (
        "plain-client",
        &[&[SUB | PLAIN_CLIENT | GREETED, 10], WELCOME, &[27], READY_PUB, &[13], WEATHER],
    ),
    (
        "plain-server",
        &[&[PUB | PLAIN_SERVER | GREETED, 20], HELLO, &[30], INITIATE, &[17], SUBSCRIBE],
    ),
    (
        "plain-server-denies",
        &[&[PUB | PLAIN_SERVER | DENYING | GREETED, 20], HELLO, &[30], INITIATE],
    ),
    (
        "heartbeats",
        &[&[SUB | BEATING | READY, 0xF2, 7], b"\x04\x05\x04PONG", &[0xF2, 0xF4, 0xF2, 0xF2]],
    ),
    ("time-to-live", &[&[PUB | BEATING | READY, 12], PING, &[0xF0, 0xF2, 0xF1, 0xF3, 0xF2, 0xF2]]),
    ("no-greeting-in-time", &[&[PUB, 0xF3, 0xF2]]),
    ("sends", &[&[PUB | READY, 17], SUBSCRIBE, &[0xF5, 0xF5, 0xF4, 0xF5]]),
    ("curve-client", &[&[SUB | CURVE_CLIENT, 10], WELCOME]),
    ("curve-client-in-clear", &[&[SUB | CURVE_CLIENT | CURVE_READY, 13], WEATHER]),
    ("curve-server", &[&[PUB | CURVE_SERVER, 20], HELLO]),
    ("curve-server-in-clear", &[&[PUB | CURVE_SERVER | CURVE_READY, 0xF5, 17], SUBSCRIBE]),
    ("curve-server-denies", &[&[PUB | CURVE_SERVER | CURVE_READY | DENYING]]),
    (
        "curve-server-and-a-forged-box",
        &[
            &[PUB | CURVE_SERVER | CURVE_READY, 35],
            b"\0\x21\x07MESSAGE\0\0\0\0\0\0\0\x03",
            &[0; 17],
        ],
    ),
];

/// A connection with CURVE: who we are, what is edited of the handshake, and what the peer seals. The low
/// three bits of an instruction: 0 seal (flags; which body), 1 and 2 with a number that rises and one that
/// does not, 3 with flags outside, 4 edit what is sealed, 5 replay and reflect, 6 in clear, 7 we say
/// something; with the highest, all arrives.
const OF_CURVE: &[Seed] = &[
    ("client", &[&[0, 0], b"\x00\0\x08\0\x80\0\x07\x0F\x80\x06"]),
    ("server", &[&[3, 0], b"\x00\x02\x10\x04\x80\x06\x17\x0F\x80\x03"]),
    ("client-octet-by-octet", &[&[0x08, 0], b"\x00\0\x80\x0C\x80\x0E"]),
    ("server-of-3.0", &[&[0x23, 0], b"\x00\x02\x07\x0F\x80\x03"]),
    ("xsub", &[&[0x44, 0], b"\x00\0\x00\x02\x80\x04\x0F"]),
    ("xpub", &[&[7, 0], b"\x00\x02\x10\x04\x80\0\x0F"]),
    ("ping", &[&[0, 0], b"\x10\x06\x90\x06\x87"]),
    ("error", &[&[0, 0], b"\x80\0\x90\x08"]),
    ("parts", &[&[0, 0], b"\x08\0\x08\x01\x08\x0C\x80\0\x08\0\x08\0\x08\0\x08\0\x08\0\x88\0"]),
    ("too-large", &[&[0, 0], b"\x80\0\x80\x0E"]),
    ("too-large-a-command", &[&[0, 0], b"\x80\0\x90\x0D"]),
    ("not-a-flag", &[&[0, 0], b"\x80\0\xA0\0"]),
    ("equal-number", &[&[0, 0], b"\x80\0\x82\0"]),
    ("lower-number", &[&[0, 0], b"\x80\0\x89\0\x9A\0"]),
    ("last-number", &[&[0, 0], b"\x79\0\x80\0"]),
    ("outer-more", &[&[0, 0], b"\x80\0\x8B\0"]),
    ("outer-command", &[&[0, 0], b"\x80\0\xA3\0\x80\0"]),
    ("outer-reserved", &[&[0, 0], b"\x80\0\xC3\0"]),
    ("flipped-tag", &[&[0, 0], b"\x00\0\x84\x10\x01"]),
    ("flipped-number", &[&[0, 0], b"\x00\0\x84\x0F\x01"]),
    ("flipped-text", &[&[0, 0], b"\x00\0\x84\x22\x01"]),
    ("cut-short", &[&[0, 0], b"\x00\0\xA4\x22"]),
    ("replayed", &[&[0, 0], b"\x80\0\x80\x01\x85"]),
    ("reflected", &[&[0, 0], b"\x80\0\x07\x8D"]),
    ("reflected-to-a-server", &[&[3, 0], b"\x07\x07\x07\x8D"]),
    ("in-clear", &[&[0, 0], b"\x80\0\x8E10001 17"]),
    ("after-a-breach", &[&[0, 0], b"\x00\0\x02\0\x00\0\x80\0"]),
    ("hello-flipped", &[&[3, 1], b"\x60\x01"]),
    ("hello-not-zeros", &[&[3, 2], b"\x07\x01"]),
    ("welcome-flipped", &[&[0, 1], b"\x60\x01"]),
    ("welcome-of-another-key", &[&[0, 2], b"\x03\x01"]),
    ("another-cookie", &[&[0, 2], b"\x30\x01\x80\0"]),
    ("cookie-flipped", &[&[3, 3], b"\x20\x01"]),
    ("initiate-flipped", &[&[3, 3], b"\xA0\x01"]),
    ("initiate-of-another-key", &[&[3, 4], b"\x03\x01"]),
    ("vouch-flipped", &[&[3, 4], b"\x40\x01"]),
    ("other-properties", &[&[3, 4], b"\x90\x20\x80\x03"]),
    ("vouch-for-another-client", &[&[3, 5], b"\x03\x01"]),
    ("vouch-to-another-server", &[&[3, 5], b"\x23\x01"]),
    ("ready-flipped", &[&[0, 3], b"\x10\x01"]),
    ("ready-cut", &[&[0, 0x24], b"\x09"]),
];

/// Two connections: who they are (one octet), and what happens. The low four bits of an instruction:
/// 0 and 1 subscribe and cancel, 2 send, 3 and 4 let time pass, 5 judge, 6 pause and resume, 7 and 8
/// carry, 9 to 15 edit; the highest says towards whom, the subscriber if it is set.
const LINK: &[Seed] = &[
    ("traffic", &[&[0], HANDS, b"\x10a\x07", TWO_PARTS, b"\x02\x04\x87\x11a\x07"]),
    ("old-subscriber", &[&[2], HANDS, b"\x10a\x07", TWO_PARTS, b"\x87"]),
    ("plain", &[&[8], HANDS, b"\x05\x87\x07\x87", TWO_PARTS, b"\x87"]),
    ("plain-denied", &[&[8], HANDS, b"\x15\x87"]),
    ("curve", &[&[4], HANDS, HANDS, b"\x05\x87\x07\x87\x10a\x07", TWO_PARTS, b"\x87\x02\x04\x87"]),
    ("curve-flipped", &[&[4], HANDS, HANDS, b"\x05\x87\x07\x87\x02\x04\x89\x20\x10\x87"]),
    ("plain-publisher-is-client", &[&[12], b"\x87", HANDS, b"\x87\x05\x07\x87\x07\x02\x04\x87"]),
    ("beats", &[&[48], HANDS, b"\x03\x87\x07\x87\x83\x07\x87\x07\x34"]),
    ("silence", &[&[48], HANDS, b"\x03\x03\x03\x83"]),
    ("paused", &[&[48], HANDS, b"\x06\x86\x03\x03\x64\x16\x96\x87\x07"]),
    ("no-greeting-in-time", &[&[0], b"\xA4"]),
    ("piecemeal", &[&[64], b"\x08\x0B\x88\x40\x08\x40\x07\x87\x07\x42\x60\x88\x05\x87"]),
    ("flipped-size", &[&[0], HANDS, b"\x02\x04\x89\x01\x10\x87\x02\x04\x87"]),
    ("forged-error", &[&[0], HANDS, b"\x8F\0\x0A\x87"]),
    ("forged-ready", &[&[0], HANDS, b"\x0F\0\x03\x07"]),
    ("forged-giant-command", &[&[0], HANDS, b"\x0F\0\x18\x07"]),
    ("forged-giant-in-the-handshake", &[&[0], b"\x07\x0F\0\x18", TWICE, TWICE, TWICE, b"\x07"]),
    ("forged-giant", &[&[128], HANDS, b"\x02\x04\x8F\x06\x17\x87\x42\x63\x42\x63\x87"]),
    (
        "flood-of-pings",
        &[&[0], HANDS, b"\x0F\0\x13", TWICE, TWICE, TWICE, TWICE, TWICE, b"\x07\x87"],
    ),
    ("doubled-greeting", &[&[0], b"\x8C\0\0\x87\x07"]),
    ("swapped", &[&[0], HANDS, TWO_PARTS, b"\x12\x05\x8E\0\x06\x87"]),
];

/// Both greetings, and the publisher's READY, are carried, and what the subscriber answers.
const HANDS: &[u8] = b"\x07\x87\x07";
const TWO_PARTS: &[u8] = b"\x12\x04";

/// All that is under way is doubled, three times.
const TWICE: &[u8] = b"\x0C\0\0\x0C\0\0\x0C\0\0";

/// Whole sockets: who they are (three octets, or five where there is an X), and what happens. The low four bits of an instruction:
/// 0 and 1 subscribe and unsubscribe, 2 send, 3 let time pass, 4 hold and release, 5 cut, 6 receive,
/// 7 dial anew, 8 a stranger (or what only an X does), 9 to 15 edit; the highest says which way, to the publisher if it is set.
const SOCKETS: &[Seed] = &[
    ("traffic", &[ROOMY, b"\x10a\x13", SENT, b"\x22bc\x02\x06\x13\x11a", SENT]),
    ("cut", &[ROOMY, b"\x10a\x10b\x13\x05\x23", SENT, b"\x05\x23\x12b\x01"]),
    ("taken-back-before-it-was-told", &[ROOMY, b"\x13\x10a\x11a\x10b\x13", SENT]),
    ("dialled-anew", &[ROOMY, b"\x10a\x13\x07\x10b\x13", SENT]),
    ("held-and-dropping-new", &[&[0, 12, 15], HELD, b"\x14\x13"]),
    ("held-and-dropping-old", &[&[1, 12, 15], HELD, b"\x14\x13"]),
    ("held-and-disconnected", &[&[2, 12, 15], HELD, b"\x14\x13"]),
    ("held-and-waiting", &[&[3, 12, 15], HELD, b"\x14\x13"]),
    ("held-and-waiting-in-vain", &[&[4, 12, 15], HELD]),
    ("conflated", &[&[0x85, 12, 15], HELD, b"\x14\x13\x16"]),
    ("too-many-topics", &[&[120, 0, 15], b"\x10a\x10b\x13\x43"]),
    ("half-done-handshakes", &[ROOMY, b"\x13\x08\x08\x08\x13\x05\x10a\x13"]),
    ("few-connections", &[&[120, 12, 143], b"\x08\x13\x84\x05\x10a\x13\x94\x23"]),
    ("falls-silent", &[&[120, 60, 15], b"\x10a\x13\x04\x53"]),
    ("forged-error", &[ROOMY, b"\x10a\x13\x0F\0\x0A", SENT, b"\x53"]),
    ("forged-giant", &[ROOMY, b"\x10a\x13\x0F\0\x17", SENT, b"\x23", SENT]),
    ("forged-subscription", &[ROOMY, b"\x13\x10a\x8F\0\x0B\x13", SENT, b"\x11a\x13"]),
    ("wrong-password", &[&[120, 76, 15], b"\x84\x13\x89\x4F\x01\x94\x53"]),
    (
        "large",
        &[ROOMY, b"\x10a\x13\x12a\xFF\x22bc\xFF\x13\x04\x12a\xFF\x42a\xFF\x13\x05\x23", SENT],
    ),
    (
        "large-and-dropping-old",
        &[&[73, 12, 15], b"\x10a\x13\x04\x12a\xFF\x12a\xFF\x12a\xFF\x14\x13"],
    ),
    ("too-large-and-not-read-yet", &[&[104, 4, 67], b"\0\x13\x02\x02\x02\xFF"]),
    ("curve", &[&[126, 12, 15], b"\x10a\x13", SENT, b"\x22bc\x02\x06\x13\x11a", SENT]),
    ("curve-waits", &[&[127, 12, 15], HELD, b"\x14\x13"]),
    ("curve-cut", &[&[126, 12, 15], b"\x10a\x13\x05\x23", SENT, b"\x05\x23\x12b\x01"]),
    ("curve-flipped", &[&[126, 12, 15], b"\x10a\x13\x09\x30\x01", SENT, b"\x23", SENT]),
    ("curve-in-clear", &[&[126, 12, 15], b"\x10a\x13\x0F\0\x10", SENT, b"\x23", SENT]),
    ("curve-large", &[&[126, 12, 15], b"\x10a\x13\x12a\xFF\x22bc\xFF\x13\x05\x23", SENT]),
    ("curve-narrow", &[&[126, 12, 79], b"\x10a\x13\x12a\x04\x12a\xFF\x23", SENT]),
    ("octet-by-octet", &[&[0, 12, 0], b"\x10a\x13", SENT, b"\x06", SENT]),
    ("narrow-limits", &[&[24, 12, 95], b"\x10a\x13\x12a\xFF\x23\x12a\xFF"]),
    ("flipped-greeting", &[ROOMY, b"\x09\x0A\x01\x89\x0A\x04\x43"]),
    ("xpub-and-xsub", &[ROOMY, b"\x38\0", TALK, b"\x10a\x13", SENT, SPOKEN, b"\x23\x68\x11a"]),
    ("xpub-tells-each", &[ROOMY, b"\x38\x01\x10a\x13", TALK, b"\x05\x23", SENT, TALK]),
    ("xpub-tells-all", &[ROOMY, b"\x38\x02\x10a\x13", TALK, b"\x05\x23", SENT, TALK]),
    ("xpub-is-not-read", &[&[120, 0, 15], b"\x18\x02\x10a\x13\x10b\x13\x18\0", SENT, b"\x53"]),
    (
        "xpub-is-not-read-by-an-xsub",
        &[
            &[120, 0, 15],
            b"\x38\x30\x13",
            SPOKEN,
            SPOKEN,
            SPOKEN,
            SPOKEN,
            b"\x13",
            TALK,
            SENT,
            b"\x53",
        ],
    ),
    ("xpub-of-a-hand", &[ROOMY, b"\x78\x04\x10a\x13", TALK, SENT, b"\x05\x23", SPOKEN, SENT]),
    (
        "xpub-looks-through-all-parts",
        &[ROOMY, b"\xB8\0\x13", TALK, SPOKEN, b"\x38\x01\x38\x01", TALK],
    ),
    ("xpub-takes-back", &[ROOMY, b"\x18\x02\x18\0\x18\0\x18\0\x58\x18\0\x18\0\x68"]),
    (
        "xpub-set-and-not-counted",
        &[&[120, 12, 47], b"\x38\x02\x10a\x13", TALK, SPOKEN, b"\x13\x68\x53"],
    ),
    (
        "xpub-is-heard-no-longer",
        &[&[120, 4, 15], b"\x38\0\x10a\x13", TALK, b"\x88", SPOKEN, TALK, SENT],
    ),
    ("xpub-past-its-topics", &[&[120, 0, 15], b"\x18\0\x10a\x13\x10b\x13\x68"]),
    ("xpub-of-a-hand-is-not-read", &[ROOMY, b"\x58\0\x10a\x13\x05\x23\x68"]),
    ("xpub-repeats", &[ROOMY, b"\x18\x02\x10a\x13\x8F\0\x0B\x10b\x13\x8F\0\x0C\x10c\x13\x68"]),
    ("xpub-with-curve", &[&[126, 12, 15], b"\x38\x06\x10a\x13", TALK, SPOKEN, SENT, b"\x05\x23"]),
    ("xsub-of-3.0", &[&[120, 12, 31], b"\x38\0\x10a\x13", SPOKEN, b"\x13", SENT, b"\x68"]),
    ("xsub-to-a-pub", &[ROOMY, b"\x28\0\x10a\x13", SPOKEN, b"\x13", SENT]),
    ("xsub-held", &[ROOMY, b"\x38\0\x10a\x13\x84", SPOKEN, SPOKEN, SPOKEN, b"\x13\x94\x13\x68"]),
];

/// The honest neighbour asks for something, says something, and does both at once; then it is heard, and
/// answered.
const TALK: &[u8] = b"\x18\0\x48\x07\x28\x01\x38\x02\x68\x78";

/// The XSUB behind the hand says something in three parts, of which the second is a subscription.
const SPOKEN: &[u8] = b"\xF8\x02\x02ab\x02\x01c\x01d";

/// Wide pipes and queues, and nothing special.
const ROOMY: &[u8] = &[120, 12, 15];
const SENT: &[u8] = b"\x12a\x04";

/// A subscriber to whom nothing comes through any more, and more messages than it has room for.
const HELD: &[u8] = b"\x10a\x13\x04\x12a\x40\x12a\x40\x12a\x40";

/// One hostile peer dials, and greets with an identity. Then it says `abc`, and the honest one is served.
const MET: &[u8] = b"\x00\x01\x03abc";
const SAID: &[u8] = b"\x02\x00\x03abc\x0F";

/// Fifteen messages at once.
const FLOOD: &[u8] =
    b"\x03\x2D\0\x01a\0\x01b\0\x01c\0\x01d\0\x01e\0\x01f\0\x01g\0\x01h\0\x01i\0\x01j\0\x01k\0\x01l\0\x01m\0\x01n\0\x01o";

/// The socket type, then the steps.
const UNICAST: &[Seed] = &[
    ("pull", &[&[0], MET, SAID, b"\x06\x04\x0F"]),
    ("pull-flooded", &[&[0], MET, FLOOD, b"\x04\x0F"]),
    ("router-flooded", &[&[4], MET, FLOOD, FLOOD, b"\x04\x0F"]),
    ("push", &[&[1], MET, b"\x06\x06\x05\x06\x04\x0F", SAID]),
    ("push-that-dials", &[&[0x09], b"\x01\x00\x06\x06\x05\x04\x06\x47\x01\x00\x0F"]),
    ("pair", &[&[2], MET, b"\x00\x09\x00\x06\x0E", SAID, b"\x04\x27\x01\x00\x06"]),
    ("pair-that-dials", &[&[0x0A], b"\x01\x00\x06\x06\x05\x04\x06\x47\x01\x00\x06"]),
    ("dealer", &[&[3], MET, SAID, b"\x06\x0E\x06\x0E\x05"]),
    ("router", &[&[4], MET, SAID, b"\x06\x03abc\x0E\x0E\x05"]),
    ("router-that-must", &[&[0x14], MET, SAID, b"\x06\x03abc\x06\x03xyz\x04\x06\x03abc"]),
    ("router-named-twice", &[&[4], MET, b"\x00\x09\x03abc", SAID, b"\x0A\x00\x01x\x0E"]),
    ("router-named-as-the-honest-one", &[&[4], b"\x00\x01\x06honest", SAID]),
    ("router-named-as-we-do", &[&[4], b"\x00\x01\x05\x00\x00\x00\x00\x01", SAID]),
    ("req", &[&[6], MET, b"\x56\x02\x01\x00\x01x\x56\x0F"]),
    ("req-by-number", &[&[0x16], MET, b"\x56\x02\x02\x04abcd\x00\x01x\x56\x0F"]),
    ("req-that-dials", &[&[0x0E], b"\x01\x00\x56\x04\x56\x47\x01\x00\x56\x0F"]),
    ("rep", &[&[7], MET, b"\x02\x01\x00\x01x\x0E\x05", SAID]),
    ("rep-with-envelopes", &[&[7], MET, b"\x02\x03\x01a\x01b\x00\x01x\x0E\x04", SAID]),
    ("rep-malformed", &[&[7], MET, b"\x02\x00\x00\x02\x01\x01a\x00\x0E\x0E", SAID]),
    ("no-greeting", &[&[4], b"\x00\x03\x05hello\x67\x0F"]),
    ("announced-too-large", &[&[0], MET, b"\x03\x09\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F"]),
    ("torn", &[&[0], MET, b"\x03\x03\x00\x09a\x04\x0F"]),
];

/// Options: where the sockets meet, then how many are set on each, and which to what; then how many on
/// the endpoint that is bound, and on the one connected.
const OPTIONS: &[Seed] = &[
    ("none", &[&[0]]),
    ("none-over-inproc", &[&[1]]),
    ("subscriber-binds", &[&[2]]),
    ("who-connects-comes-first", &[&[4]]),
    ("plain", &[&[8]]),
    ("marks-of-zero", &[&[0, 2, 0, 4, 1, 4, 1, 0, 4]]),
    ("no-room-for-an-octet", &[&[0, 1, 1, 4, 1, 1, 4]]),
    ("waits", &[&[0, 3, 0, 5, 2, 3, 1, 5, 1, 0, 5]]),
    ("waits-for-no-time", &[&[0, 2, 2, 4, 4, 0, 5, 1, 2]]),
    ("conflate", &[&[0, 1, 3, 1, 2]]),
    ("limits-of-zero", &[&[0, 1, 17, 4, 4, 4, 4, 0]]),
    ("limits-without-limit", &[&[0, 1, 17, 7, 7, 7, 7, 1, 17, 7, 7, 7, 7]]),
    ("no-topics", &[&[0, 1, 6, 4, 4]]),
    ("times-without-end", &[&[0, 4, 18, 7, 19, 7, 8, 7, 27, 7, 7, 7, 3, 18, 7, 20, 7, 7, 7, 8, 7]]),
    ("times-of-zero", &[&[0, 3, 18, 4, 19, 4, 8, 4, 2, 20, 4, 4, 4, 8, 4]]),
    ("beats-without-pause", &[&[0, 1, 20, 5, 0, 5, 1, 20, 5, 0, 5]]),
    ("dials-without-pause", &[&[4, 0, 1, 21, 4, 4]]),
    ("dials-never-again", &[&[4, 0, 1, 21, 7, 7]]),
    ("credentials-too-long", &[&[0, 1, 13, 128, 0, 1, 14, 128, 0]]),
    ("credentials-too-long-to-connect", &[&[0, 0, 1, 13, 128, 0]]),
    ("version-4", &[&[0, 1, 12, 4, 0]]),
    ("endpoints-differ", &[&[0, 0, 0, 2, 2, 11, 15, 22, 13, 2, 2]]),
    ("for-ever", &[&[1, 2, 7, 9, 4, 2, 7, 10, 4]]),
    ("curve", &[&[16]]),
    ("curve-subscriber-binds", &[&[18]]),
    ("curve-known-keys", &[&[16, 1, 35]]),
    ("curve-another-server", &[&[16, 0, 1, 33, 1]]),
    ("curve-to-plain", &[&[16, 0, 1, 13, 2, 2]]),
    ("curve-in-a-narrow-handshake", &[&[16, 1, 17, 2, 2, 2, 5]]),
    ("curve-on-one-endpoint", &[&[0, 0, 0, 1, 1, 32, 33, 0]]),
    ("judged", &[&[0, 1, 34, 1, 34]]),
    ("judged-for-ever", &[&[0, 1, 36, 7]]),
    ("xpub", &[&[32]]),
    ("xpub-and-xsub", &[&[96]]),
    ("xpub-and-xsub-with-plain", &[&[105, 1, 37, 0x0D, 1, 37, 1, 3]]),
    ("xpub-tells-all-and-welcomes", &[&[112, 1, 0, 5, 0x0C, 1, 0, 4, 0, 5]]),
    ("xpub-by-hand", &[&[96, 0, 0x10]]),
    ("xpub-without-topics", &[&[98, 1, 6, 4, 4, 2]]),
    ("xsub-to-a-pub", &[&[64, 0, 1, 37, 1, 5]]),
];

/// A key, the box that is forged, and texts.
const CIPHER: &[Seed] = &[
    ("empty", &[&[1; 32], b"\xFF", b"\0\0\0\x01"]),
    (
        "weather",
        &[
            &[2; 32],
            b"\x02",
            b"\x08\0\x08\x0110001 17",
            b"\x08\0\x08\x0210002 19",
            b"\x08\0\x08\x0310003 21",
        ],
    ),
    ("one-of-many-blocks", &[&[3; 32], b"\xFF", b"\x01\x10\x04\x01abcd"]),
    (
        "a-vector-and-one",
        &[
            &[4; 32],
            b"\x10",
            &[0x41, 0, 0, 7],
            &[
                0x41, 0, 0, 7, 0x41, 0, 0, 8, 0x41, 0, 0, 9, 0x41, 0, 0, 10, 0x41, 0, 0, 11, 0x41,
                0, 0, 12, 0x41, 0, 0, 13, 0x41, 0, 0, 14, 0x41, 0, 0, 15, 0x41, 0, 0, 16, 0x41, 0,
                0, 17, 0x41, 0, 0, 18, 0x41, 0, 0, 19, 0x41, 0, 0, 20, 0x41, 0, 0, 21, 0x41, 0, 0,
                22,
            ],
        ],
    ),
    (
        "short-and-long",
        &[
            &[0xFF; 32],
            b"\x03",
            b"\x00\x08\x01\x05\xFF",
            b"\x11\0\x01\x06\xFF",
            b"\x20\0\x01\x07\xFF",
            b"\x21\0\x01\x08\xFF",
            b"\x00\x04\x01\x09\xFF",
        ],
    ),
];

const TOPICS: &[Seed] = &[
    (
        "zipcodes",
        &[b"\0\x05\x0010001", b"\0\x01\x042", b"\0\x01\x033", b"\0\x01\x029", b"\x02\0\x05"],
    ),
    (
        "nested",
        &[b"\0\0\0", b"\x01\x01\xFFa", b"\0\x01\xFFa", b"\0\x01\xFFa", b"\x02\0\x02", b"\x03\0\0"],
    ),
    (
        "far-apart",
        &[
            b"\0\x01\0\0\0\x01\0\xFF\0\x01\0\x10\0\x01\0\xA0\0\x01\0\x50\0\x01\0\x51",
            b"\x07\x01\0\x10\x02\x01\0\xFF",
        ],
    ),
    ("long", &[b"\0\x80\0x", b"\0\xFF\xFFx", b"\0\x04\xF0abcd", b"\x02\x04\xF0abcd", b"\x03\0\0"]),
];

const ENDPOINT: &[Seed] = &[
    ("any", &[b"tcp://*:5556"]),
    ("any-port", &[b"tcp://127.0.0.1:*"]),
    ("ipv6", &[b"tcp://[2001:db8::1]:5556"]),
    ("zone", &[b"tcp://[fe80::1%eth0]:5556"]),
    ("name", &[b"tcp://feed-1.example.net:5556"]),
    ("number", &[b"tcp://127.1:1"]),
    ("path", &[b"ipc:///run/feed.sock"]),
    ("abstract", &[b"ipc://@feed"]),
    ("wildcard", &[b"ipc://*"]),
    ("inproc", &[b"inproc://feed"]),
    ("unknown", &[b"tpc://x"]),
    ("spelt-otherwise", &[b"tcp://[0:0::0001]:0080"]),
    ("mem", &[b"mem://feed"]),
    ("address-4", &[&[127, 0, 0, 1]]),
    ("address-6", &[&[0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]),
    ("address-6-of-4", &[&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127, 0, 0, 1]]),
    ("host-alone", &[b"feed-1.example.net."]),
    ("path-like-a-name", &[b"@feed"]),
    ("longest-name", &[b"inproc://", &[b'x'; 256]]),
    ("not-utf-8", &[b"ipc:///run/\xFF\0"]),
];

/// A request that is granted, up to its sub-protocols; and the answer to ours, but for the key.
const REQUEST: &[u8] = b"GET /feed HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ";
const ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ZWS2.0\r\n\r\n";

/// The first octet of WebSocket's instructions: the side, whether it upgrades, is established, and the profile. The
/// second is how many octets are read at a time.
const WS: &[Seed] = &[
    (
        "request",
        &[b"\x02\x07", REQUEST, b"ZWS2.0\r\n\r\n\x82\x81\0\0\0\0\x00\x82\x83\0\0\0\0\x00\x01A"],
    ),
    ("request-null", &[b"\x06\x40", REQUEST, b"ZWS2.0/NULL\r\n\r\n\x82\x87\0\0\0\0\x02\x05READY"]),
    ("request-of-a-page", &[b"\x02\x20", REQUEST, b"ZWS2.0\r\nOrigin: https://other\r\n\r\n"]),
    ("request-for-another", &[b"\x12\x20", REQUEST, b"mqtt\r\n\r\n"]),
    ("no-upgrade", &[b"\x02\x20GET /feed HTTP/1.1\r\nHost: h\r\n\r\n"]),
    ("answer", &[b"\x03\x09", ANSWER, b"\x82\x01\x00"]),
    ("answer-404", &[b"\x03\x09HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]),
    (
        "frames",
        &[b"\x04\x03\x82\x83\x01\x02\x03\x04\x01oj\x82\x82\0\0\0\0\x01a\x82\x81\0\0\0\0\x00"],
    ),
    (
        "fragments",
        &[b"\x04\x05\x82\x81\0\0\0\0\x00\x02\x82\0\0\0\0\x00a\x89\x81\0\0\0\0!\x80\x81\0\0\0\0b"],
    ),
    ("client", &[b"\x05\x02\x82\x01\x00\x82\x02\x00a\x89\x01!\x8A\x00\x88\x02\x03\xE8"]),
    ("commands", &[b"\x0C\x04\x82\x87\0\0\0\0\x02\x05READY\x82\x83\0\0\0\0\x00\x01A"]),
    ("plain", &[b"\x10\x04\x82\x8A\0\0\0\0\x02\x05HELLO\x01u\x00"]),
    ("giant", &[b"\x04\x01\x82\x81\0\0\0\0\x00\x82\xFF\x40\0\0\0\0\0\0\0\0\0\0\0\x00x"]),
    ("fragments-beyond-the-limit", &[b"\x04\xFF\x82\x81\0\0\0\0\x00\x02\xFE\x02\x59\0\0\0\0\x00x"]),
    ("text", &[b"\x04\x01\x82\x81\0\0\0\0\x00\x81\x81\0\0\0\0A"]),
    ("no-mask", &[b"\x00\x01\x82\x01\x00"]),
];

const ALL: [(&str, &[Seed]); 14] = [
    ("greeting", GREETING),
    ("frame", FRAME),
    ("observer", OBSERVER),
    ("command", COMMAND),
    ("connection", CONNECTION),
    ("curve", OF_CURVE),
    ("cipher", CIPHER),
    ("link", LINK),
    ("sockets", SOCKETS),
    ("unicast", UNICAST),
    ("options", OPTIONS),
    ("topics", TOPICS),
    ("endpoint", ENDPOINT),
    ("ws", WS),
];

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (target, seeds) in ALL {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        for (name, parts) in seeds {
            fs::write(folder.join(name), parts.concat())?;
        }
    }
    Ok(())
}
