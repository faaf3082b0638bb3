"""CSV files of text from elsewhere, which neither tear in readers nor become formulas in spreadsheets."""

import csv
import io
import re
from collections.abc import Iterable

_ARMED = ("=", "+", "-", "@", "\t", "\r", "'")
"""How formulas begin (https://owasp.org/www-community/attacks/CSV_Injection), and the mark that disarms them."""

_UNPRINTABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Text with control characters, but for line feeds and tabs, and with bytes that are no UTF-8, as ``\x..``."""
    return _UNPRINTABLE.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # what Python makes of a byte of a name that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    """Rows as text of a CSV file; a cell that a spreadsheet would take for a formula gets ``'`` before it."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_disarmed(printable(cell)) for cell in row] for row in rows)
    return stream.getvalue()


def csv_rows(text: str) -> list[list[str]]:
    """The rows that `csv_text` was given; characters that it escaped stay so."""
    limit = csv.field_size_limit(len(text))  # a name in a reason may be longer than what csv takes by default
    try:
        return [[cell.removeprefix("'") for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
    finally:
        csv.field_size_limit(limit)


def _disarmed(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_ARMED) else cell
