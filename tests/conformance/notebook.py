#!/usr/bin/env python3
"""Executes a notebook: nbclient and jupyter_client on one side, ipykernel on the other, both on our library.

notebook.py [--theirs | --library PATH]
"""

import argparse
import subprocess
import sys

import upstream

PACKAGES = [upstream.PYZMQ, "ipykernel==7.1.0", "jupyter_client==8.6.3", "nbclient==0.10.2", "nbformat==5.10.4"]
LIMIT = 120

# Runs in the environment: the kernel's pyzmq is the same one.
NOTEBOOK = '''
import sys
import nbformat
import zmq
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

cells = [
    "import zmq, threading; print(zmq.zmq_version(), zmq.__version__)",
    "21 * 2",
    # Much output, from another thread, while the cell runs.
    "def count():\\n    for number in range(2000):\\n        print(number)\\n"
    "thread = threading.Thread(target=count); thread.start(); thread.join()",
    # A cell that fails, and the kernel goes on.
    "1 / 0",
    "context = zmq.Context.instance(); one = context.socket(zmq.PAIR); other = context.socket(zmq.PAIR)\\n"
    "one.bind('inproc://cells'); other.connect('inproc://cells'); one.send(b'across'); other.recv().decode()",
]
notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
manager = KernelManager()
manager.kernel_spec.argv[0] = sys.executable
client = NotebookClient(notebook, km=manager, timeout=60, allow_errors=True)
with client.setup_kernel():
    for number, cell in enumerate(notebook.cells):
        client.execute_cell(cell, number)
    # A cell that would run for ever is interrupted.
    kernel = client.kc
    # A kernel that is busy but does not yet run the cell's code ignores the interrupt, so the cell says when it runs.
    asked = kernel.execute("import time\\nprint('running')\\nwhile True: time.sleep(0.01)")
    while kernel.get_iopub_msg(timeout=60)["content"].get("text") != "running\\n":
        pass
    manager.interrupt_kernel()
    reply = kernel.get_shell_msg(timeout=60)
    assert reply["content"]["ename"] == "KeyboardInterrupt", reply
    assert kernel.is_alive(), "the kernel has survived"
manager.shutdown_kernel()

def text(cell):
    return "".join(output.get("text", "") for output in cell.outputs)

version, value, counted, failed, across = notebook.cells
assert text(version).split() == [zmq.zmq_version(), zmq.__version__], version
assert value.outputs[0]["data"]["text/plain"] == "42", value
assert text(counted).split() == [str(number) for number in range(2000)], counted
assert failed.outputs[0]["ename"] == "ZeroDivisionError", failed
assert across.outputs[0]["data"]["text/plain"] == "'across'", across
print("a notebook of", len(cells), "cells was executed, and a sixth interrupted")
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--theirs", action="store_true", help="on libzmq 4.3.5")
    parser.add_argument("--library", type=upstream.Path, default=upstream.OURS)
    options = parser.parse_args()
    environment = upstream.environment(f"notebook-{'theirs' if options.theirs else 'ours'}", *PACKAGES)
    if not options.theirs:
        upstream.swap(environment, options.library)
    command = [environment / "bin/python", "-c", NOTEBOOK]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        sys.exit(process.wait(timeout=LIMIT))
    except subprocess.TimeoutExpired:
        sys.exit(f"the notebook was not done within {LIMIT} seconds")
    finally:
        upstream.end(process)


if __name__ == "__main__":
    main()
