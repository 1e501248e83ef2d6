"""Processes of finetune that end when the study does: in good order, with a checkpoint, even if the
study itself is killed."""

import ctypes
import fcntl
import os
import signal
import subprocess
import time

from study.fault import Fault

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
PATIENCE = 600  # seconds that a killed study's runs get to save their checkpoints


class Locks:
    """One study at a time works in a folder, and it waits for the runs that an earlier, killed one
    has left. The system gives a process's locks back when it ends, however it ends."""

    def __init__(self, out, tell):
        self.own = os.open(out, os.O_RDONLY)
        if not self.take(self.own):
            os.close(self.own)
            raise Fault(f"{out}: another glue is at work there")
        self.of_runs = os.open(out / "runs", os.O_RDONLY)  # the children hold it too
        if not self.take(self.of_runs):
            tell("Waiting for the runs of a killed study to save their checkpoints")
            end = time.monotonic() + PATIENCE
            while not self.take(self.of_runs):
                if time.monotonic() > end:
                    raise Fault(f"{out}: a killed study's runs are still at work there")
                time.sleep(0.05)

    @staticmethod
    def take(descriptor):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self):
        os.close(self.of_runs)
        os.close(self.own)


class Child:
    """A process, and when it was started. It has a process group of its own, so that a Ctrl-C at
    the terminal reaches it once, through interrupt()."""

    def __init__(self, command, folder, locks):
        parent = os.getpid()

        def follow_parent():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != parent:  # it was killed meanwhile
                os._exit(1)

        self.started, self.told = time.monotonic(), 0
        with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True, pass_fds=[locks.of_runs], preexec_fn=follow_parent)

    def ended(self):
        """None, or (exit code, negative for a signal; seconds; bytes of resident memory)."""
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return None
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return (self.process.returncode, time.monotonic() - self.started,
                usage.ru_maxrss * 1024)

    def interrupt(self, times):
        """The first time it may save a checkpoint; the second time it ends at once."""
        if self.told < times:
            self.told = times
            self.process.send_signal(signal.SIGINT if times == 1 else signal.SIGKILL)


class Interrupts:
    """Counts Ctrl-C and the like instead of ending the process."""

    def __init__(self):
        self.times, self.old = 0, {}

    def note(self, _number, _frame):
        self.times += 1

    def __enter__(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            ignored = signal.getsignal(number) == signal.SIG_IGN
            if not (ignored and number == signal.SIGHUP):  # nohup
                self.old[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, *_):
        for number, action in self.old.items():
            signal.signal(number, action)
