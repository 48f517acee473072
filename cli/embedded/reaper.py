"""Ends a fleet whose supervisor is gone, also when it was killed without a word.

Runs as its own small process, by file name and on the standard library alone. Its standard
input is a pipe that only the supervisor holds: lines "+<pid>" and "-<pid>" tell which children
run, and its end means that the supervisor is dead or done. All children are in the reaper's
process group, so a last SIGKILL to the group misses nobody and cannot hit a stranger.
A pipe works on every platform; a parent-death signal is Linux only and is tied to a thread.
"""

import os
import signal
import sys
import time

CHILD_STOP_SECONDS_MAX = 6.0
STOP_SECONDS_MAX = 20.0
POLL_SECONDS = 0.02


def main() -> None:
    """Wait for the pipe's end, then stop what is left: last started first, then by force."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pids: list[int] = []
    for line in sys.stdin:
        sign, pid = line[0], int(line[1:])
        if sign == "+":
            pids.append(pid)
        elif pid in pids:
            pids.remove(pid)
    if not pids:
        return
    end = time.monotonic() + STOP_SECONDS_MAX
    for pid in reversed(pids):
        _stop(pid, min(end, time.monotonic() + CHILD_STOP_SECONDS_MAX))
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _stop(pid: int, end: float) -> None:
    try:
        if os.getpgid(pid) != os.getpgrp():
            return  # the number was given to another process
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < end and not _is_zombie(pid):
            os.kill(pid, 0)
            time.sleep(POLL_SECONDS)
    except OSError:
        return


def _is_zombie(pid: int) -> bool:
    """Ended, but not yet noticed by whoever took the orphan over: some containers never do."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
