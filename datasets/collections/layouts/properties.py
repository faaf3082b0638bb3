"""Properties files of Java, as ``java.util.Properties`` reads them."""

import re

_LINE_END = re.compile(r"\r\n|\r|\n")
_ENTRY = re.compile(r"(?P<key>(?:\\.|[^\\=:\s])*)\s*[=:]?\s*(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(content: bytes) -> dict[str, str]:
    """The entries of a file; of equal keys the last one counts."""
    entries = {}
    begun = ""
    for line in _LINE_END.split(content.decode("latin-1")):
        logical = begun + line.lstrip()
        begun = ""
        if logical.startswith(("#", "!")):
            continue
        if (len(logical) - len(logical.rstrip("\\"))) % 2:
            begun = logical[:-1]
            continue
        match = _ENTRY.match(logical)
        if match and logical:
            entries[_unescaped(match["key"])] = _unescaped(match["value"])
    return entries


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _CONTROLS.get(code, code)
