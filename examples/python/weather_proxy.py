"""Stands between servers and clients, so that neither needs to know where the other is.

weather_proxy.py [SERVER [HERE]]: connects to the server and binds HERE for the clients. The filters of the
clients go on to the server: what no client asks for does not come as far as here.
"""

import sys

import zmq

server = sys.argv[1] if len(sys.argv) > 1 else "tcp://localhost:5556"
here = sys.argv[2] if len(sys.argv) > 2 else "tcp://*:5557"

with zmq.Context() as context, context.socket(zmq.XSUB) as backend, context.socket(zmq.XPUB) as frontend:
    backend.connect(server)
    frontend.bind(here)
    try:
        print("from", server, "to", here, flush=True)
        zmq.proxy(frontend, backend)
    except KeyboardInterrupt:
        print("no more forwarding")
    frontend.linger = 0
