"""Counts system calls, where Linux's `perf` may."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile

EVENT = "raw_syscalls:sys_enter"


@functools.cache
def why_not():
    """Why system calls cannot be counted here, or nothing."""
    if not shutil.which("perf"):
        return "there is no perf"
    tried = subprocess.run(["perf", "stat", "-e", EVENT, "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"perf may not count {EVENT}"


class Counter:
    """Counts the system calls of processes, with all their threads, from now until it is read."""

    def __init__(self, pids):
        self.output = tempfile.NamedTemporaryFile(mode="r", prefix="syscalls-")
        control_read, self.control = os.pipe()
        acknowledged, ack_write = os.pipe()
        # The counter is attached but does not count until it is told to: `ack` then says that it does.
        command = ["perf", "stat", "-x", ",", "-e", EVENT, "-D", "-1", "-o", self.output.name]
        command += ["--control", f"fd:{control_read},{ack_write}", "-p", ",".join(map(str, pids))]
        self.child = subprocess.Popen(command, pass_fds=(control_read, ack_write), stderr=subprocess.DEVNULL)
        os.close(control_read)
        os.close(ack_write)
        try:
            with contextlib.suppress(OSError):
                os.write(self.control, b"enable\n")
            os.read(acknowledged, 16)  # or the end, if perf has failed
        finally:
            os.close(acknowledged)

    def read(self):
        """Ends, and gives the number, or nothing if perf has failed."""
        os.close(self.control)
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        self.child.wait()
        with self.output as lines:
            counts = [line.split(",")[0] for line in lines if EVENT in line]
        return int(counts[0]) if counts and counts[0].isdigit() else None
