"""Ids that are safe as folders, and unique whether or not letters' case counts."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath

_LONGEST = 100  # characters of a part: file systems take 255, and suffixes are added to it


def unique_ids(names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """An id for each name.

    Accents are dropped and other unsafe characters become ``_``. Where names would share an id, ignoring case, or one
    id would be a folder on the way to another, each of them gets a suffix: a hash of its key, which depends on nothing
    else.

    Args:
        names: Parts joined by ``/``.
        keys: No two alike.
    """
    ids = [_safe(name) for name in names]
    hashes = [hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest() for key in keys]
    for digits in (8, 64):  # a name may end like another one's hash, by accident or by design
        crowded = _crowded(ids)
        ids = [
            f"{_safe(name)}-{digest[:digits]}" if crowd else id_
            for name, digest, id_, crowd in zip(names, hashes, ids, crowded, strict=True)
        ]
    return ids


def _safe(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return "/".join(_safe_part(part) for part in plain.split("/") if part) or "_"


def _safe_part(part: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", part)[:_LONGEST]
    # No hidden names, no "." and "..", and nothing that a command would take for an option.
    return re.sub(r"^[.-]+|\.+$", "_", safe)


def _crowded(ids: Sequence[str]) -> list[bool]:
    """Whether each id is also another's, or a folder on the way to another."""
    lowered = [id_.lower() for id_ in ids]
    count = Counter(lowered)
    folders = {str(folder) for id_ in count for folder in PurePosixPath(id_).parents}
    return [count[id_] > 1 or id_ in folders for id_ in lowered]


def endings(paths: Sequence[PurePath]) -> list[str]:
    """The shortest ending of each absolute path that no other path has, ignoring case; equal paths share theirs."""
    parts = {path: path.parts[1:] for path in paths}
    lengths = dict.fromkeys(parts, 1)
    while True:
        names = {path: "/".join(parts[path][-length:]) for path, length in lengths.items()}
        count = Counter(name.lower() for name in names.values())
        crowded = [path for path, name in names.items() if count[name.lower()] > 1 and lengths[path] < len(parts[path])]
        if not crowded:
            return [names[path] for path in paths]
        lengths |= {path: lengths[path] + 1 for path in crowded}
