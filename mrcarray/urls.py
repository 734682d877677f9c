"""Names of files: URLs, how they are shown without credentials, and the suffixes of MRC files and their sidecars.

A file is recognised by its content; its name counts only where there is no content yet, or none to look at. This module
imports nothing that reads a file, because every module that looks at a name uses it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "COMPRESSED",
    "MRC",
    "Sidecars",
    "file_name",
    "is_url",
    "public_name",
    "redact",
    "redactor",
    "sidecars_of",
    "unpacked",
]

_URL = re.compile(r"([a-zA-Z][\w+.-]*::)*[a-zA-Z][\w+.-]*(://|::[/~])")
_CHAIN = re.compile(r"::(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"]+")
_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:\d{0,5})?")
_PARAMETER = re.compile(r";[^/;=?#]+=([^/;?#]*)")


def is_url(name: str) -> bool:
    """Return whether a name is a URL or a chain of URLs as fsspec writes it; every other name is a path.

    Parameters
    ----------
    name : str
        What a caller gave as the name of a file.

    Examples
    --------
    >>> is_url("s3://bucket/a.mrc"), is_url("zip://a.mrc::https://host/all.zip"), is_url("simplecache::/data/a.mrc")
    (True, True, True)
    >>> is_url("a.mrc"), is_url("/data/a::b.mrc"), is_url("a::b.mrc"), is_url("./a://b")
    (False, False, False, False)
    """
    return _URL.match(name) is not None


def file_name(name: str) -> str:
    """Return the part of a URL that names the file, without query and fragment; a path is returned unchanged.

    Examples
    --------
    >>> file_name("zip://inner/TS_01.st::https://host/all.zip"), file_name("simplecache::https://host/TS_01.st?key=1")
    ('zip://inner/TS_01.st', 'https://host/TS_01.st')
    >>> file_name("what?.mrc")
    'what?.mrc'
    """
    if not is_url(name):
        return name
    part = next((part for part in name.split("::") if "://" in part), name)
    return re.split(r"[?#]", part)[0]


def public_name(url: str) -> str:
    """Return a URL without user, password, parameters, query and fragment, which may contain credentials.

    A password may contain the characters that would end it: everything after ``user:`` up to an ``@`` is the password,
    unless it is the number of a port. A path is returned unchanged.

    Examples
    --------
    >>> public_name("https://me:secret@host/a.mrc?X-Signature=abc")
    'https://host/a.mrc'
    >>> public_name("https://me:sec/ret@host/a.mrc;token=abc")
    'https://host/a.mrc'
    >>> public_name("simplecache::https://host:8080/a@2.mrc")
    'simplecache::https://host:8080/a@2.mrc'
    >>> public_name("what?.mrc")
    'what?.mrc'
    """
    if "://" not in url:
        return url
    plain = "::".join("".join(_split(part)[::2]) for part in _CHAIN.split(url))
    return "::".join(_PARAMETER.sub("", re.split(r"[?#]", part)[0]) for part in plain.split("::"))


def _split(part: str) -> tuple[str, str, str]:
    """Return the scheme of one URL of a chain, user and password, and what follows them."""
    scheme, mark, rest = part.partition("://")
    if not mark:
        return part, "", ""
    authority = re.split(r"[/?#]", rest)[0]
    held = authority if "@" in authority or _HOST.fullmatch(authority) else rest
    user, _, _ = held.rpartition("@")
    return scheme + mark, user, rest[len(user) + 1 :] if user else rest.removeprefix("@")


def redactor(url: str, options: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a function that replaces the credentials of a URL and of its options in a text."""
    from urllib.parse import quote, unquote

    users = [_split(part)[1] for part in _CHAIN.split(url)]
    parts = [part for user in users for part in (user, *user.partition(":")[::2])]
    parts += re.findall(r"[?#]([^:]*)", url) + (_PARAMETER.findall(url) if "://" in url else [])
    parts += [form(part) for part in parts for form in (unquote, quote)]
    secrets = {text for text in [*_texts(dict(options)), *parts] if len(text) > 3}  # noqa: PLR2004 -- shorter are words

    def without_secrets(text: str) -> str:
        text = redact(text)
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    return without_secrets


def redact(text: str) -> str:
    """Return a text in which every URL is replaced by its public name.

    Examples
    --------
    >>> redact("cannot read https://me:secret@host/a.mrc?key=1")
    'cannot read https://host/a.mrc'
    """
    return _IN_TEXT.sub(lambda found: public_name(found[0]), text)


def _texts(value: Any) -> Iterable[str]:
    """Return every text in nested options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _texts(item)


MRC = (".mrc", ".mrcs", ".map", ".ccp4", ".st", ".rec", ".ali", ".preali")
"""Suffixes of MRC files; one of a compression may follow."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""Suffixes of compressed files: one or more for each row of `mrcarray.storage.compression.codecs.CODECS`."""


def unpacked(name: str) -> str:
    """Return a name without the suffix of a compression, whose case does not matter.

    Examples
    --------
    >>> unpacked("TS_01.mrc.gz"), unpacked("TS_01.MRC.ZSTD"), unpacked("TS_01.mrc")
    ('TS_01.mrc', 'TS_01.MRC', 'TS_01.mrc')
    """
    lower = name.lower()
    if not lower.endswith(COMPRESSED):
        return name
    return name[: -len(next(one for one in COMPRESSED if lower.endswith(one)))]


class Sidecars(NamedTuple):
    """Names of the sidecars that a file may have.

    Parameters
    ----------
    documents : tuple of str
        Names of mdoc files; the first that exists is the one that is read.
    lists : tuple of str
        Names of lists of angles.
    """

    documents: tuple[str, ...]
    lists: tuple[str, ...]


def sidecars_of(path: str) -> Sidecars:
    """Return the names of the sidecars that a local file may have, ignoring the suffix of a compression.

    Parameters
    ----------
    path : str
        The image file; a URL or a relative path has no sidecars.

    Examples
    --------
    >>> sidecars_of("/data/TS_01.mrc.gz").lists
    ('/data/TS_01.rawtlt', '/data/TS_01.tlt', '/data/TS_01.xtilt')
    """
    if not os.path.isabs(path):  # noqa: PTH117 -- as below
        return Sidecars((), ())
    path = unpacked(path)
    stem = os.path.splitext(path)[0]  # noqa: PTH122 -- names need not be text
    documents = (path + ".mdoc", stem + ".mdoc", stem + ".idoc")
    return Sidecars(documents, (stem + ".rawtlt", stem + ".tlt", stem + ".xtilt"))
