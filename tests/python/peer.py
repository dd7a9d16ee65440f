"""A pyzmq peer for the tests: python peer.py TYPE (bind|connect) ENDPOINT [OPTION=VALUE ...]

TYPE is PUB, SUB, XPUB or XSUB. Options: subscribe=HEX (of a SUB, before it connects), user=NAME
and password=TEXT (as a PLAIN client, or the only ones let in, with server=1), curve=Z85 (its secret
key; as a server, or as the client of server_key=Z85), heartbeat=MILLISECONDS, and any of libzmq's by
its name in small letters, with a number: zmq_invert_matching=1.

Says "ready" once it is bound or connecting, then "got HEX ..." for each message, a word for each
part ("-" for an empty one). Obeys the lines "send HEX ...", "subscribe HEX" and "unsubscribe HEX"
on its input, and ends with it.
"""

import sys

import zmq
from zmq.auth.thread import ThreadAuthenticator


def octets(word):
    return b"" if word == "-" else bytes.fromhex(word)


def word(octets):
    return octets.hex() or "-"


def say(*words):
    print(*words, flush=True)


def start(context, kind, how, endpoint, options):
    socket = context.socket(getattr(zmq, kind))
    socket.linger = 0
    if "server" in options:
        socket.plain_server = True
    elif "user" in options:
        socket.plain_username = options["user"].encode()
        socket.plain_password = options["password"].encode()
    if "curve" in options:
        secret = options["curve"].encode()
        socket.curve_secretkey, socket.curve_publickey = secret, zmq.curve_public(secret)
        if "server_key" in options:
            socket.curve_serverkey = options["server_key"].encode()
        else:
            socket.curve_server = True
    if "heartbeat" in options:
        socket.heartbeat_ivl, socket.heartbeat_timeout = int(options["heartbeat"]), 60_000
    for name, value in options.items():
        if name.startswith("zmq_"):
            socket.setsockopt(getattr(zmq, name.removeprefix("zmq_").upper()), int(value))
    if "subscribe" in options:
        socket.subscribe(octets(options["subscribe"]))
    getattr(socket, how)(endpoint)
    return socket


def obey(socket, command, *words):
    if command == "send":
        socket.send_multipart([octets(word) for word in words])
    else:
        getattr(socket, command)(octets(words[0]))


def run(socket):
    # Unbuffered, so that no line waits where the poller does not see it.
    stdin = open(0, "rb", buffering=0)
    poller = zmq.Poller()
    poller.register(stdin, zmq.POLLIN)
    if socket.type != zmq.PUB:
        poller.register(socket, zmq.POLLIN)
    while True:
        events = dict(poller.poll())
        if socket in events:
            say("got", *map(word, socket.recv_multipart()))
        if stdin.fileno() in events:
            line = stdin.readline()
            if not line:
                return
            obey(socket, *line.decode().split())


def main(kind, how, endpoint, *options):
    options = dict(option.split("=", 1) for option in options)
    context = zmq.Context()
    guard = None
    if "server" in options:
        guard = ThreadAuthenticator(context)
        guard.start()
        guard.configure_plain(passwords={options["user"]: options["password"]})
    socket = start(context, kind, how, endpoint, options)
    say("ready")
    run(socket)
    socket.close()
    if guard:
        guard.stop()
    context.term()


if __name__ == "__main__":
    main(*sys.argv[1:])
