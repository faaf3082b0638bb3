"""Read many inputs that may be broken, and print what became of them: ``python -m tests.fuzz``.

Run it in the folder that holds ``tests``. It ends with 1 if any input broke a rule of `tests.fuzz.cases.judge`. Each of
those is written to a folder, with the reason; ``--seed`` and ``--only`` with its number read it again.
"""

import argparse
import functools
import os
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.cases import KINDS, Verdict, all_seeds, case_of, judge, write
from tests.fuzz.workers import answers

_LEAST_ACCEPTED = 0.15


def main() -> int:
    """Return 0 if all inputs kept the rules."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=40_000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn by chance")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="read this input alone, such as one that failed")
    parser.add_argument("--folder", type=Path, default=Path("out/fuzz"), help="where inputs are written that failed")
    options = parser.parse_args()

    numbers = range(options.inputs) if options.only is None else [options.only]
    jobs = min(os.cpu_count() or 1, len(numbers))
    shares = [numbers[first::jobs] for first in range(jobs)]
    all_seeds()  # here, for threads would each make them
    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(lambda share: _counted(options.seed, share, options.folder), shares))
    counts = sum(parts, Counter())
    _say(_table(counts))
    failed = sum(count for (_, kind), count in counts.items() if kind == "failed")
    accepted = _share_accepted(counts)
    _say(f"{len(numbers)} inputs of seed {options.seed}: {failed} failed, {accepted:.1%} of the mutants accepted")
    return int(failed > 0 or (len(numbers) >= 1000 and accepted < _LEAST_ACCEPTED))


def _counted(seed: int, numbers: range | list[int], folder: Path) -> Counter[tuple[str, str]]:
    """How many inputs of each reader and kind; what failed is written and printed as it comes."""
    counts: Counter[tuple[str, str]] = Counter()
    for number, answer in answers(functools.partial(judge, seed), numbers):
        # Of an input that brought its process down, nobody else is left to say whose it was.
        died = isinstance(answer, str)
        verdict = Verdict(case_of(seed, number).origin.reader, "failed", str(answer)) if died else Verdict(*answer)
        counts[verdict.reader, verdict.kind] += 1
        if verdict.kind == "failed":
            _tell(seed, number, verdict, folder / f"{verdict.reader.replace(' ', '-')}-{seed}-{number}")
    return counts


def _tell(seed: int, number: int, verdict: Verdict, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)  # of a run before
    write(target, case_of(seed, number).files)
    (target / "reason.txt").write_text(verdict.reason, encoding="utf-8", errors="backslashreplace")
    _say(f"seed {seed}, input {number} ({target}): {verdict.reason[:300]!a}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _share_accepted(counts: Counter[tuple[str, str]]) -> float:
    of_kind = Counter({kind: sum(n for (_, each), n in counts.items() if each == kind) for kind in KINDS})
    return of_kind["accepted"] / max(1, of_kind["accepted"] + of_kind["refused"] + of_kind["failed"])


def _table(counts: Counter[tuple[str, str]]) -> str:
    rows = [f"{'reader':12}" + "".join(f"{kind:>10}" for kind in KINDS)]
    for reader in dict.fromkeys(reader for reader, _ in sorted(counts)):
        rows.append(f"{reader:12}" + "".join(f"{counts[reader, kind]:10}" for kind in KINDS))
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
