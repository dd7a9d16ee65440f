"""Prints five weather updates and their average temperature.

weather_client.py [ZIPCODE [ENDPOINT]]: a part of a zipcode asks for all zipcodes that begin with it.
"""

import sys

import zmq

zipcode = sys.argv[1] if len(sys.argv) > 1 else "10001"
endpoint = sys.argv[2] if len(sys.argv) > 2 else "tcp://localhost:5556"

with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
    subscriber.connect(endpoint)
    subscriber.subscribe(zipcode)
    print("waiting for", zipcode, flush=True)

    temperatures = []
    while len(temperatures) < 5:
        update = subscriber.recv_string()
        print(update, flush=True)
        temperatures.append(int(update.split()[1]))

print(f"average temperature of {zipcode}: {sum(temperatures) / len(temperatures):.1f} F")
