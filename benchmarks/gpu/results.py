"""Write measurements to a file of JSON lines, and read them back."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

Line = dict[str, Any]

MARKS = ("section", "device", "quick", "attempt")
"""What every line begins with: which run of which section it belongs to."""


@final
@dataclasses.dataclass(frozen=True)
class Results:
    """A file of JSON lines; it need not exist yet."""

    path: Path

    def lines(self) -> list[Line]:
        """Read all lines but a last one that was cut short."""
        if not self.path.exists():
            return []
        found = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(text))
        return found

    def append(self, line: Line) -> None:
        """Print a line, and add it to the file."""
        text = json.dumps(line)
        print(text, flush=True)
        cut_short = self.path.exists() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * cut_short + text + "\n")

    def is_complete(self, section: str, device: str, quick: bool) -> bool:
        """Return whether the section has a closing line of the same device and extent."""
        wanted = (section, device, quick)
        return any(
            line.get("complete") and (line["section"], line["device"], line["quick"]) == wanted for line in self.lines()
        )

    def errors(self, section: str, attempt: int) -> tuple[int, int]:
        """Return how many lines of a run of a section are errors, and how many are measurements."""
        lines = [line for line in self.lines() if (line["section"], line["attempt"]) == (section, attempt)]
        errors = sum("error" in line for line in lines)
        return errors, len(lines) - errors - sum("not_measured" in line for line in lines)

    def next_attempt(self, section: str) -> int:
        """Return 1 for a section that is not in the file, or one more than the number of its last attempt."""
        return 1 + max((line["attempt"] for line in self.lines() if line["section"] == section), default=0)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorder:
    """Record the measurements of one run of a section.

    Attributes:
        results: The file.
        section: Name of the section.
        device: Torch's name of the device, such as ``"cuda"``.
        quick: Whether to measure a few small cases only.
        attempt: Which run of the section this is, from 1.
        deadline: When the section should be done, on the clock of `time.monotonic`.
    """

    results: Results
    section: str
    device: str
    quick: bool
    attempt: int
    deadline: float

    @property
    def on_cuda(self) -> bool:
        """Return whether the device is a CUDA device."""
        return self.device.startswith("cuda")

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline, zero or more."""
        return max(0.0, self.deadline - time.monotonic())

    def write(self, **values: object) -> None:
        """Append one measurement."""
        marks = dict(zip(MARKS, (self.section, self.device, self.quick, self.attempt), strict=True))
        self.results.append({**marks, **values})

    @contextlib.contextmanager
    def case(self, **case: object) -> Iterator[None]:
        """Append a line with the case and the error if the body fails, and go on."""
        try:
            yield
        except Exception as error:  # whatever a driver or a library raises: the other cases go on
            self.write(**case, error=described(error))


def described(error: BaseException) -> str:
    """Return an error as one line: its type, the beginning of its message, and where it was raised."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" ({Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name})"
        trace = trace.tb_next
    message = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {message}{place}"
