"""The pictures of docs/patterns.md and docs/scale.md. draw.py draws them."""

from draw import Picture


def one_publisher():
    it = Picture(
        "one-publisher",
        "One publisher, many subscribers",
        "A PUB binds, and three SUBs connect to it. Two receive the topic that they have subscribed to, one all.",
    )
    pub = it.box(330, 40, "PUB", "binds tcp://*:5556")
    subs = ((110, '"10001 …"', "10001", -1), (330, '"10002 …"', "10002", 1), (550, "all", "", 1))
    for x, topic, name, side in subs:
        sub = it.box(x, 180, f'SUB "{name}"', "connects", w=120)
        it.arrow(pub, sub, topic, part=0.62, side=side)
    return it


def many_publishers():
    it = Picture(
        "many-publishers",
        "Many publishers, one subscriber",
        "Three PUBs connect to one SUB, which binds and receives from them in turn.",
    )
    pubs = [it.box(x, 40, "PUB", "connects", w=110) for x in (100, 300, 500)]
    sub = it.box(300, 170, "SUB", "binds tcp://*:5557")
    for pub in pubs:
        it.arrow(pub, sub)
    return it


def proxy():
    it = Picture(
        "proxy",
        "A proxy between many and many",
        "PUBs connect to the XSUB of a proxy, SUBs to its XPUB. Messages pass from the PUBs through the proxy to the "
        "SUBs, subscriptions the other way.",
    )
    xsub, xpub = it.box(270, 110, "XSUB", "binds"), it.box(430, 110, "XPUB", "binds")
    it.frame(xsub, xpub, label="proxy")
    for y in (50, 170):
        pub, sub = it.box(60, y, "PUB", "connects"), it.box(640, y, "SUB", "connects")
        for source, target in ((pub, xsub), (xsub, xpub), (xpub, sub)):
            it.arrow(source, target, shift=5)
            it.arrow(target, source, shift=5, kind="request")
    it.legend(215, 205, message="messages", request="subscriptions")
    return it


def proxy_tree():
    it = Picture(
        "proxy-tree",
        "A tree of proxies",
        "A PUB, below it a proxy, below that a proxy for each of two sites, and two SUBs below each of these. The line "
        "to a site carries each message once, and only if a subscriber there wants it.",
    )
    pub, top = it.box(330, 30, "PUB"), it.box(330, 115, "proxy")
    it.arrow(pub, top)
    for x, site in ((160, "one site"), (500, "another site")):
        below = it.box(x, 220, "proxy")
        subs = [it.box(x + by, 315, "SUB") for by in (-60, 60)]
        it.arrow(top, below, "each message once" if x > 330 else "a thin line", side=1 if x > 330 else -1, part=0.3)
        it.frame(below, *subs, label=site, beside=True)
        for sub in subs:
            it.arrow(below, sub)
    return it


def last_values():
    it = Picture(
        "last-values",
        "Last values for late subscribers",
        "A cache with a SUB and an XPUB keeps the last value of each topic. A late subscriber asks for a topic, "
        "receives its last value alone, and from then on what all receive.",
    )
    pub = it.box(60, 80, "PUB")
    sub, xpub = it.box(250, 80, "SUB"), it.box(400, 80, "XPUB")
    it.frame(sub, xpub, label="cache: berlin 18, lisbon 25", room=18)
    it.arrow(pub, sub, "all")
    it.arrow(sub, xpub)
    late, early = it.box(400, 260, "SUB, late", w=110), it.box(640, 260, "SUB, early")
    it.arrow(late, xpub, '1. subscribes to "berlin"', x=375, kind="request", side=-1, part=0.42)
    it.arrow(xpub, late, '2. "berlin 18"', x=425, part=0.7)
    it.arrow(xpub, early, '3. "berlin 19", to both', part=0.5)
    return it


def request_reply():
    it = Picture(
        "request-reply",
        "Request and reply",
        "A REQ sends a request to a REP that dies with it, sends the same request to another one, and receives the "
        "reply.",
    )
    req = it.box(70, 110, "REQ")
    first = it.box(480, 50, "REP", "dies with the request", w=200)
    second = it.box(480, 170, "REP", "back, or the next one", w=200)
    it.arrow(req, first, "1. request", cut=True, part=0.35)
    it.arrow(req, second, "2. the same request, 3. the reply", both=True, side=-1)
    return it


def load_balancer():
    it = Picture(
        "load-balancer",
        "A load-balancing broker",
        "Clients, each with a REQ, ask a broker's first ROUTER. Its second ROUTER gives each request to a worker that "
        "is idle; the workers have a REQ too, and ask for work.",
    )
    front, back = it.box(330, 150, "ROUTER", "for clients"), it.box(330, 235, "ROUTER", "for workers")
    it.frame(front, back, label="broker", room=14, beside=True)
    it.arrow(front, back, both=True)
    it.note(430, 160, "idle: worker 2, then worker 1")
    it.note(430, 232, "busy: worker 3, for client 1")
    for number, x in enumerate((150, 330, 510), 1):
        client = it.box(x, 30, "REQ", f"client {number}", w=100)
        it.arrow(client, front, both=True)
        worker = it.box(x, 350, "REQ", f"worker {number}", w=100)
        it.arrow(worker, back, both=True, kind="message")
    it.note(590, 335, '"ready", and then')
    it.note(590, 355, "result after result")
    return it


def service_broker():
    it = Picture(
        "service-broker",
        "A service broker",
        "Clients name a service in their requests to a broker's REP. Workers register for a service at its ROUTER, "
        "and get the requests for it. A request for an unknown service is answered with 404.",
    )
    rep, router = it.box(360, 120, "REP", "for clients"), it.box(530, 120, "ROUTER", "for workers")
    it.frame(rep, router, label="broker")
    it.arrow(rep, router, both=True)
    known, unknown = ('"upper", "hello"', '"200", "HELLO"'), ('"weather", "hello"', '"404"')
    for y, place, (asked, answered) in ((40, -12, known), (200, 12, unknown)):
        client = it.box(60, y, "REQ", "client")
        it.arrow(client, rep, both=True)
        it.note(108, y + place, f"asks {asked}")
        it.note(108, y + place + 18, f"gets {answered}")
    for y, place, name in ((40, -12, "upper"), (200, 30, "twice")):
        worker = it.box(830, y, "REQ", "worker")
        it.arrow(worker, router, both=True)
        it.note(780, y + place, f'registers for "{name}"', "end")
    return it


def pipeline():
    it = Picture(
        "pipeline",
        "A pipeline",
        "A ventilator's PUSH gives each task to one of three workers, in turn. Each worker has a PULL for tasks and a "
        "PUSH for results, which a sink's PULL collects. The workers connect to both.",
    )
    ventilator, sink = it.box(330, 40, "PUSH", "ventilator: binds"), it.box(330, 375, "PULL", "sink: binds")
    for number, x in enumerate((120, 330, 540), 1):
        pull, push = it.box(x, 165, "PULL", "connects"), it.box(x, 250, "PUSH", "connects")
        it.frame(pull, push, label=f"worker {number}", beside=True)
        it.arrow(pull, push)
        it.arrow(ventilator, pull)
        it.arrow(push, sink)
    return it


def addressed():
    it = Picture(
        "addressed",
        "Addressed peers",
        "A ROUTER named server, in the middle, exchanges messages with a DEALER named alice, with a DEALER without a "
        "name, and with a ROUTER named node. It sends by name, or to the peer that a message came from.",
    )
    server = it.box(330, 50, "ROUTER", '"server"')
    node = it.box(640, 50, "ROUTER", '"node"')
    alice, unnamed = it.box(200, 190, "DEALER", '"alice"', w=100), it.box(460, 190, "DEALER", "no name", w=100)
    it.arrow(server, node, 'send_to("node")', both=True)
    it.arrow(server, alice, 'send_to("alice")', both=True, side=-1)
    it.arrow(server, unnamed, "send_to(&peer)", both=True)
    return it


def pair():
    it = Picture("pair", "A pair", "Two PAIR sockets in one process send each other ready and go over inproc.")
    one, other = it.box(90, 70, "PAIR", "one thread", w=110), it.box(450, 70, "PAIR", "another thread", w=120)
    it.frame(one, other, label="process", room=18)
    it.arrow(one, other, '"ready"', y=60)
    it.arrow(other, one, '"go"', y=84, side=-1)
    return it


def in_process():
    it = Picture(
        "in-process",
        "Within one process",
        "A PUB in a process sends to two SUBs in the same process over inproc, and to a SUB elsewhere over tcp.",
    )
    pub = it.box(100, 100, "PUB", "binds both")
    near = [it.box(420, y, "SUB", where, w=110) for y, where in ((60, "a task"), (140, "a thread"))]
    it.frame(pub, *near, label="process", room=18)
    it.arrow(pub, near[0], "inproc://weather")
    it.arrow(pub, near[1])
    far = it.box(100, 270, "SUB", "anywhere else", w=130)
    it.arrow(pub, far, "tcp://*:5556", part=0.75)
    return it


def dead_peers():
    it = Picture(
        "dead-peers",
        "Dead peers",
        "A ROUTER sends PING, and a DEALER answers PONG. The DEALER hangs, the next PING has no PONG in time, and the "
        "ROUTER disconnects it.",
    )
    router = it.box(110, 90, "ROUTER", "reports", "Disconnected", w=130)
    dealer = it.box(480, 90, "DEALER", "hangs after", "the first PONG", w=140)
    it.arrow(router, dealer, "PING", y=68, part=0.5)
    it.arrow(dealer, router, "PONG", y=92)
    it.arrow(router, dealer, "PING, and no PONG in time", y=116, side=-1)
    return it


def curve():
    it = Picture(
        "curve",
        "Over an untrusted line",
        "A PUB with the secret key S and a SUB with the secret key C have each other's public key. Each proves that it "
        "has its secret key before a message passes; all messages are encrypted.",
    )
    pub, sub = (
        it.box(130, 80, "PUB", "has secret key S,", "C's public key", w=170),
        it.box(620, 80, "SUB", "has secret key C,", "S's public key", w=170),
    )
    it.arrow(sub, pub, "1. each side proves that it has its key", y=65, kind="request", both=True)
    it.arrow(pub, sub, "2. encrypted messages (CURVE)", y=100, side=-1)
    return it


def scale():
    it = Picture(
        "scale",
        "A tree of proxies, from one publisher to many subscribers",
        "A publisher, below it a root proxy, below that leaf proxies 1 to P, and below each leaf subscribers 1 to F.",
    )
    pub, root = it.box(80, 120, "publisher"), it.box(230, 120, "root")
    it.arrow(pub, root)
    leaves = [it.box(400, y, name, w=90) for y, name in ((40, "leaf 1"), (120, "leaf 2"), (200, "leaf P"))]
    for leaf in leaves:
        it.arrow(root, leaf)
    for y, name in ((10, "subscriber 1"), (80, "subscriber F")):
        it.arrow(leaves[0], it.box(600, y, name, w=130))
    it.note(600, 47, "…", "middle")
    it.note(400, 162, "…", "middle")
    it.note(465, 125, "… subscribers here too")
    return it


PICTURES = [
    one_publisher, many_publishers, proxy, proxy_tree, last_values, request_reply, load_balancer, service_broker,
    pipeline, addressed, pair, in_process, dead_peers, curve, scale,
]
