// A peer for the tests, in Node: one socket at a time, told what to do by the lines on its input, as
// ../python/peer.py is. The argument says whose: "zeromq" (libzmq, with ws) or "jszmq" (JavaScript alone).
//
// Options of "open", for zeromq alone: user=NAME and password=TEXT (as a PLAIN client, or the only ones let
// in, with server=1), curve=Z85 and public=Z85 (its keys; as a server, or as the client of server_key=Z85),
// identity=NAME, subscribe=HEX.

"use strict";

const library = process.argv[2];
const octets = (word) => Buffer.from(word === "-" ? "" : word, "hex");
const word = (octets) => Buffer.from(octets).toString("hex") || "-";
const say = (...words) => process.stdout.write(words.join(" ") + "\n");

// libzmq's sockets.
const libzmq = () => {
    const zmq = require("zeromq");
    const kinds = {
        PUB: zmq.Publisher, SUB: zmq.Subscriber, XPUB: zmq.XPublisher, XSUB: zmq.XSubscriber, PUSH: zmq.Push,
        PULL: zmq.Pull, REQ: zmq.Request, REP: zmq.Reply, DEALER: zmq.Dealer, ROUTER: zmq.Router, PAIR: zmq.Pair,
    };
    return {
        async open(kind, how, endpoint, options) {
            const socket = new kinds[kind]({ linger: 0, ...security(zmq, options) });
            if (options.identity) socket.routingId = options.identity;
            if (options.subscribe) socket.subscribe(octets(options.subscribe));
            if (how === "bind") await socket.bind(endpoint);
            else socket.connect(endpoint);
            if (socket.receive) receive(socket);
            return socket;
        },
        send: (socket, parts) => socket.send(parts),
    };
};

// The options of a mechanism. A ZAP handler decides which clients a server admits.
const security = (zmq, options) => {
    if (options.server) {
        guard(zmq, options);
        return { plainServer: true, zapDomain: "test" };
    }
    if (options.user) return { plainUsername: options.user, plainPassword: options.password };
    if (!options.curve) return {};
    const keys = { curveSecretKey: options.curve, curvePublicKey: options.public };
    return options.server_key ? { ...keys, curveServerKey: options.server_key } : { ...keys, curveServer: true };
};

const guard = async (zmq, { user, password }) => {
    const handler = new zmq.Router();
    await handler.bind("inproc://zeromq.zap.01");
    for await (const [id, empty, version, request, , , , , name, secret] of handler) {
        const known = String(name) === user && String(secret) === password;
        const verdict = known ? ["200", "OK", user] : ["400", "No", ""];
        await handler.send([id, empty, version, request, ...verdict, ""]);
    }
};

// A look at what turns out to be nothing yet (EAGAIN) is no end.
const receive = async (socket) => {
    for (;;) {
        try {
            for await (const parts of socket) say("got", ...parts.map(word));
            return;
        } catch (error) {
            if (error.code !== "EAGAIN") return say("error", error.message);
        }
    }
};

// Those of jszmq.
const jszmq = () => {
    const zmq = require("jszmq");
    return {
        async open(kind, how, endpoint) {
            const socket = zmq.socket(kind.toLowerCase());
            socket.on("message", (...parts) => say("got", ...parts.map(word)));
            socket[how](endpoint);
            return socket;
        },
        send: (socket, parts) => socket.send(parts),
    };
};

const theirs = { zeromq: libzmq, jszmq }[library]();
let socket;

const obey = async (command, words) => {
    if (command === "open") {
        const [kind, how, endpoint, ...options] = words;
        const pairs = options.map((option) => option.split(/=(.*)/s).slice(0, 2));
        socket = await theirs.open(kind, how, endpoint, Object.fromEntries(pairs));
        say("ready");
    } else if (command === "send") {
        await theirs.send(socket, words.map(octets));
    } else {
        socket[command](octets(words[0]));
    }
};

const main = async () => {
    const lines = require("readline").createInterface({ input: process.stdin });
    for await (const line of lines) {
        const [command, ...words] = line.split(" ").filter((word) => word);
        await obey(command, words);
    }
    process.exit(0);
};

main();
