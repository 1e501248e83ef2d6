"""What a study shows while it runs: one line, drawn anew, on a terminal; elsewhere a line for each
run that ends."""

import os
import sys
import time

INTERVAL = 0.2  # seconds between two drawings
NARROWEST, WIDEST = 10, 40  # the bar


class Progress:
    """A terminal that is closed, or a pipe that nobody reads, is no reason to stop: results are in
    files."""

    def __init__(self, quiet):
        self.quiet = quiet
        self.bar = not quiet and sys.stderr.isatty()
        self.shown, self.on_screen = 0.0, False

    def due(self):
        return self.bar and time.monotonic() - self.shown >= INTERVAL

    def draw(self, part, text):
        """part: of all work that is done, of 1."""
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        except OSError:
            columns = 80
        room = columns - 1
        width = min(room - len(text) - 3, WIDEST)
        bar = ""
        if width >= NARROWEST:
            full = min(int(width * part), width)
            bar = "[" + ("=" * full + ">" * (full < width)).ljust(width) + "] "
        self.write("\r" + (bar + text)[:room] + "\033[K", sys.stderr)
        self.shown, self.on_screen = time.monotonic(), True

    def erase(self):
        if self.on_screen:
            self.write("\r\033[K", sys.stderr)
            self.on_screen = False

    def line(self, text):
        """For those without a terminal."""
        if not self.quiet and not self.bar:
            self.write(text + "\n", sys.stdout)

    def say(self, text):
        """For everybody but the quiet."""
        self.erase()
        if not self.quiet:
            self.write(text + "\n", sys.stdout)

    def warn(self, text):
        """For everybody."""
        self.erase()
        self.write(f"glue: {text}\n", sys.stderr)

    @staticmethod
    def write(text, file):
        try:
            print(text, end="", file=file, flush=True)
        except OSError:
            pass
