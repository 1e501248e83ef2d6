"""How a study tells that it can't go on."""

FAILED, WRONG_USE = 1, 2  # exit codes


class Fault(Exception):
    """One clear line for the user, and the exit code that goes with it."""

    def __init__(self, message, code=FAILED):
        super().__init__(message)
        self.message, self.code = message, code


def wrong_use(message):
    return Fault(message, WRONG_USE)


def printable(text):
    """On one line, whatever a file or a command line holds."""
    return "".join(c if c.isprintable() else "?" for c in text)
