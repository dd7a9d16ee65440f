"""Several sockets of one context, and threads: a station in a thread of its own, and one map for each region.

The station publishes over inproc, which never leaves this process. Each map asks for the zipcodes that begin
with its own digits, and a poller says which of them has something to read.
"""

from threading import Event, Thread
from random import randint

import zmq

REGIONS = ["1000", "1001", "1002"]


def station(context: zmq.Context, stop: Event) -> None:
    with context.socket(zmq.PUB) as publisher:
        publisher.bind("inproc://weather")
        while not stop.is_set():
            publisher.send_string(f"{randint(10000, 10099)} {randint(-40, 110)} {randint(10, 99)}")


with zmq.Context() as context:
    poller = zmq.Poller()
    maps = {}
    for region in REGIONS:
        socket = context.socket(zmq.SUB)
        # The station is not there yet, and need not be.
        socket.connect("inproc://weather")
        socket.subscribe(region)
        poller.register(socket, zmq.POLLIN)
        maps[socket] = region

    stop = Event()
    thread = Thread(target=station, args=(context, stop))
    thread.start()

    updates = {region: 0 for region in REGIONS}
    while min(updates.values()) < 5:
        for socket, _ in poller.poll():
            update = socket.recv_string()
            assert update.startswith(maps[socket])
            updates[maps[socket]] += 1

    stop.set()
    for socket in maps:
        socket.close()
    thread.join()

print("five updates or more for each of", *REGIONS)
