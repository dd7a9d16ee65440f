"""Publishes the weather of random US zipcodes, as fast as it can: "zipcode temperature humidity".

weather_server.py [ENDPOINT]
"""

import sys
from random import randint

import zmq

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://*:5556"

with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
    publisher.bind(endpoint)
    try:
        print("publishing at", endpoint, flush=True)
        while True:
            zipcode, temperature, humidity = randint(10000, 10099), randint(-40, 110), randint(10, 99)
            publisher.send_string(f"{zipcode:05} {temperature} {humidity}")
    except KeyboardInterrupt:
        print("no more weather")
    # Nobody is owed what was not sent yet.
    publisher.linger = 0
