"""Child processes that are spoken to line by line, and that no failure leaves behind."""

import json
import queue
import subprocess
import threading
import time


class Failure(Exception):
    """A peer did not do what the protocol asks."""


class Late(Failure):
    """It did not do so in time."""


class Process:
    """A peer. Its standard output is read by a thread, so that every wait can have an end."""

    def __init__(self, argv):
        self.argv = argv
        pipe = subprocess.PIPE
        self.child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)
        self.pid = self.child.pid
        self.lines = queue.Queue()
        self.complaints = []
        threading.Thread(target=self._read_out, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def expect(self, word, seconds):
        """Waits for a line that is `word`."""
        self._await(lambda line: line == word, word, seconds)

    def report(self, seconds):
        """Waits for a line of JSON."""
        report = json.loads(self._await(lambda line: line.startswith("{"), "a report", seconds))
        if report.get("timeout"):
            raise Failure(f"{self._name()} gave up: {report}")
        return report

    def say(self, line):
        """Writes a line. That the process has gone is seen by what it does not answer."""
        try:
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
        except OSError:
            pass

    def stop(self):
        """Closes its standard input, which ends it."""
        try:
            self.child.stdin.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        try:
            self.child.wait(0.5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def _await(self, wanted, what, seconds):
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Late(f"{self._name()}: no {what} in {seconds:.0f} s") from None
            if line is None:
                raise Failure(f"{self._name()} ended before {what}: {' | '.join(self.complaints)}")
            if wanted(line):
                return line

    def _read_out(self):
        for line in self.child.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def _read_errors(self):
        for line in self.child.stderr:
            if len(self.complaints) < 10:
                self.complaints.append(line.strip())

    def _name(self):
        return " ".join(self.argv[:2]).rsplit("/", 1)[-1]
