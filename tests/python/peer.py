"""A pyzmq peer for the tests: one socket at a time, told what to do by the lines on its input.

"open TYPE (bind|connect) ENDPOINT [OPTION=VALUE ...]" closes the socket there was, if any, makes another
in a context of its own, and says "ready" once it is bound or connecting. TYPE is any of libzmq's: PUB.
Options: subscribe=HEX (of a SUB, before it connects), user=NAME and password=TEXT (as a PLAIN client,
or the only ones let in, with server=1), curve=Z85 (its secret key; as a server, or as the client of
server_key=Z85), known=Z85 (the only key that a CURVE server lets in), identity=NAME,
heartbeat=MILLISECONDS, and any of libzmq's by its name in small letters, with a number:
zmq_invert_matching=1.

"send HEX ...", "subscribe HEX" and "unsubscribe HEX" are for the open socket; a word is a part, "-" an
empty one. For each message it receives it says "got HEX ...". It ends with its input.
"""

import os

import zmq
from zmq.auth.thread import ThreadAuthenticator

STDIN = 0


def octets(word):
    return b"" if word == "-" else bytes.fromhex(word)


def word(octets):
    return octets.hex() or "-"


def say(*words):
    print(*words, flush=True)


class Known:
    """Whom a CURVE server lets in."""

    def __init__(self, key):
        self.key = key.encode()

    def callback(self, _domain, key):
        return key == self.key


class Peer:
    def __init__(self, kind, how, endpoint, *options):
        options = dict(option.split("=", 1) for option in options)
        self.context = zmq.Context()
        self.guard = self.guarded(options)
        self.socket = self.context.socket(getattr(zmq, kind))
        self.set(options)
        getattr(self.socket, how)(endpoint)

    def guarded(self, options):
        if "server" not in options and "known" not in options:
            return None
        guard = ThreadAuthenticator(self.context)
        guard.start()
        if "server" in options:
            guard.configure_plain(passwords={options["user"]: options["password"]})
        else:
            guard.configure_curve_callback(credentials_provider=Known(options["known"]))
        return guard

    def set(self, options):
        socket = self.socket
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
        if "identity" in options:
            socket.routing_id = options["identity"].encode()
        if "heartbeat" in options:
            socket.heartbeat_ivl, socket.heartbeat_timeout = int(options["heartbeat"]), 60_000
        for name, value in options.items():
            if name.startswith("zmq_"):
                socket.setsockopt(getattr(zmq, name.removeprefix("zmq_").upper()), int(value))
        if "subscribe" in options:
            socket.subscribe(octets(options["subscribe"]))

    def obey(self, command, *words):
        if command == "send":
            self.socket.send_multipart([octets(word) for word in words])
        else:
            getattr(self.socket, command)(octets(words[0]))

    def receive(self):
        try:
            parts = self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            # libzmq has processed an event of its own, such as a new peer: no message has come.
            return
        say("got", *map(word, parts))

    def close(self):
        self.socket.close()
        if self.guard:
            self.guard.stop()
        self.context.term()


class Input:
    """The lines of the input. No line waits in a buffer where the poller does not see it."""

    def __init__(self):
        self.rest = b""

    def lines(self):
        """Those that are there; None at the end."""
        came = os.read(STDIN, 1 << 20)
        *lines, self.rest = (self.rest + came).split(b"\n")
        return lines if came else None


def main():
    commands, peer = Input(), None
    while True:
        poller = zmq.Poller()
        poller.register(STDIN, zmq.POLLIN)
        if peer and peer.socket.type != zmq.PUB:
            poller.register(peer.socket, zmq.POLLIN)
        events = dict(poller.poll())
        if peer and peer.socket in events:
            peer.receive()
        if STDIN not in events:
            continue
        lines = commands.lines()
        if lines is None:
            break
        for line in lines:
            command, *words = line.decode().split()
            if command != "open":
                peer.obey(command, *words)
                continue
            if peer:
                peer.close()
            peer = Peer(*words)
            say("ready")
    if peer:
        peer.close()


if __name__ == "__main__":
    main()
