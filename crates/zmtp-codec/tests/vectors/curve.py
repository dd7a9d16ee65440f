#!/usr/bin/env python3
"""A conversation under CURVE, octet for octet, by libsodium: `curve.py > curve.txt` (needs PyNaCl).

Every key and every random nonce is fixed, so another implementation with the same ones must write the
same octets. Each line is a name and hexadecimal digits.
"""

from nacl.bindings import crypto_box, crypto_scalarmult_base, crypto_secretbox


def counting(first, count):
    return bytes((first + step) % 256 for step in range(count))


def frame(flags, body):
    if len(body) > 255:
        return bytes([flags | 2]) + len(body).to_bytes(8, "big") + body
    return bytes([flags, len(body)]) + body


def short(prefix, number):
    return prefix + number.to_bytes(8, "big")


CLIENT, SERVER = counting(1, 32), counting(51, 32)  # the permanent secret keys
TRANSIENT_CLIENT, TRANSIENT_SERVER = counting(101, 32), counting(151, 32)
VOUCH_NONCE, COOKIE_NONCE, WELCOME_NONCE = counting(7, 16), counting(77, 16), counting(177, 16)
COOKIE_KEY = counting(201, 32)

C, S, C1, S1 = map(crypto_scalarmult_base, (CLIENT, SERVER, TRANSIENT_CLIENT, TRANSIENT_SERVER))


def metadata(socket_type):
    return b"\x0bSocket-Type" + len(socket_type).to_bytes(4, "big") + socket_type


def hello():
    signature = crypto_box(bytes(64), short(b"CurveZMQHELLO---", 1), S, TRANSIENT_CLIENT)
    return b"\x05HELLO\x01\x00" + bytes(72) + C1 + (1).to_bytes(8, "big") + signature


def cookie():
    return COOKIE_NONCE + crypto_secretbox(C1 + TRANSIENT_SERVER, b"COOKIE--" + COOKIE_NONCE, COOKIE_KEY)


def welcome():
    box = crypto_box(S1 + cookie(), b"WELCOME-" + WELCOME_NONCE, C1, SERVER)
    return b"\x07WELCOME" + WELCOME_NONCE + box


def initiate():
    vouch = VOUCH_NONCE + crypto_box(C1 + S, b"VOUCH---" + VOUCH_NONCE, S1, CLIENT)
    text = C + vouch + metadata(b"SUB")
    box = crypto_box(text, short(b"CurveZMQINITIATE", 2), S1, TRANSIENT_CLIENT)
    return b"\x08INITIATE" + cookie() + (2).to_bytes(8, "big") + box


def ready():
    box = crypto_box(metadata(b"PUB"), short(b"CurveZMQREADY---", 1), C1, TRANSIENT_SERVER)
    return b"\x05READY" + (1).to_bytes(8, "big") + box


def message(by_client, number, flags, body):
    prefix, theirs, ours = (
        (b"CurveZMQMESSAGEC", S1, TRANSIENT_CLIENT) if by_client
        else (b"CurveZMQMESSAGES", C1, TRANSIENT_SERVER)
    )
    box = crypto_box(bytes([flags]) + body, short(prefix, number), theirs, ours)
    return frame(0, b"\x07MESSAGE" + number.to_bytes(8, "big") + box)


MORE, COMMAND = 1, 2

for name, octets in {
    "client_secret": CLIENT,
    "server_secret": SERVER,
    "server_public": S,
    "client_randomness": TRANSIENT_CLIENT + VOUCH_NONCE,
    "server_randomness": TRANSIENT_SERVER + COOKIE_KEY + COOKIE_NONCE + WELCOME_NONCE,
    "hello": frame(4, hello()),
    "welcome": frame(4, welcome()),
    "initiate": frame(4, initiate()),
    "ready": frame(4, ready()),
    # A subscription in both forms, and a PING with its answer.
    "subscribe": message(True, 3, COMMAND, b"\x09SUBSCRIBE10001"),
    "subscribe_by_message": message(True, 4, 0, b"\x0110002"),
    "ping": message(True, 5, COMMAND, b"\x04PING\x00\x00hi"),
    "pong": message(False, 2, COMMAND, b"\x04PONGhi"),
    # "10001 17 40"; a message of three parts; one of 300 octets; an empty one.
    "one": message(False, 3, 0, b"10001 17 40"),
    "three": message(False, 4, MORE, b"10001") + message(False, 5, MORE, b"") + message(False, 6, 0, b"17"),
    "long": message(False, 7, 0, b"L" * 300),
    "empty": message(False, 8, 0, b""),
}.items():
    print(name, octets.hex())
