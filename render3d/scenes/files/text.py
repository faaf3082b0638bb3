"""Text of files whose encoding nobody states."""

import codecs
import re

import torch

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BLANKS = " \t\v\f"
"""What separates words. `str.strip` would take more, such as the wide space, which may end a name."""

# In GBK, Big5 and Shift-JIS, a backslash may be the second half of a character; the first half is a byte that UTF-8
# does not have alone.
_CONTINUED = re.compile(r"(?<![\udc80-\udcff])\\\n")


def decode_text(content: bytes) -> str:
    """Return the text of a file, its lines ended by line feeds.

    UTF-16 is known by its mark, or by a first character of ASCII. Everything else is taken for UTF-8; bytes that are
    not become lone surrogates, as in names of files, so that names in any encoding stay apart and are found on disk.
    """
    if content.startswith(_UTF_16):
        text = content.decode("utf-16", errors="replace")
    elif len(content) > 1 and (content[0] == 0) != (content[1] == 0):
        text = content.decode("utf-16-be" if content[0] == 0 else "utf-16-le", errors="replace")
    else:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def join_continued(text: str) -> str:
    """Return the text with each line that ends in a backslash joined to the next."""
    return _CONTINUED.sub(" ", text) if "\\\n" in text else text


def rest_of(line: str) -> str:
    """Return what follows the first word, without blanks around it; inside, nothing is changed."""
    return "".join(line.split(maxsplit=1)[1:]).strip(BLANKS)


def digits_of(numbers: torch.Tensor) -> int:
    """Return how many decimal digits bring back every number of this type: 9 for float32, 17 for float64."""
    return 17 if numbers.dtype == torch.float64 else 9
