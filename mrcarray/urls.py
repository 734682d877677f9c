"""What of a URL may be shown: no credentials, in no name, text or error.

This stands on the lowest floor, so that whoever names a file need load nothing that reads one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["public_name", "redactor"]


_CHAIN = re.compile(r"::(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"]+")
_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:\d{0,5})?")
_PARAMETER = re.compile(r";[^/;=?#]+=([^/;?#]*)")


def public_name(url: str) -> str:
    """Return a URL without user, password, parameters, query and fragment, which may hold credentials.

    A password may hold the characters that would end it: what follows ``user:`` is one up to an ``@``, unless it is the
    number of a port. A path is returned as it is.

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
    """Return a function that takes the credentials in URL and options out of a text."""
    from urllib.parse import quote, unquote

    users = [_split(part)[1] for part in _CHAIN.split(url)]
    parts = [part for user in users for part in (user, *user.partition(":")[::2])]
    parts += re.findall(r"[?#]([^:]*)", url) + (_PARAMETER.findall(url) if "://" in url else [])
    parts += [form(part) for part in parts for form in (unquote, quote)]
    secrets = {text for text in [*_texts(dict(options)), *parts] if len(text) > 3}  # noqa: PLR2004 -- shorter are words

    def redact(text: str) -> str:
        text = _IN_TEXT.sub(lambda found: public_name(found[0]), text)
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    return redact


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
