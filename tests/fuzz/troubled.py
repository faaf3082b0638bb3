"""Inputs that bring a process down, for the test of `tests.fuzz.workers`; it imports little, for it is begun often."""

import os
import time

from tests.fuzz.workers import BYTES, Answer


def judge(number: int) -> Answer:
    """Sleep at 1, die at 2, take too much memory at 3."""
    match number:
        case 1:
            time.sleep(60)
        case 2:
            os.kill(os.getpid(), 9)
        case 3:
            return (f"{len(bytearray(BYTES))} bytes",)
    return ("fine",)
