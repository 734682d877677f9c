"""What of a URL may be shown: no credentials, in no name, text or error.

This stands on the lowest floor, so that whoever names a file need load nothing that reads one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["public_name", "redactor"]


def public_name(url: str) -> str:
    """Return a URL without user, password, query and fragment, which may hold credentials; a path as it is.

    Examples
    --------
    >>> public_name("https://me:secret@host/a.mrc?X-Signature=abc")
    'https://host/a.mrc'
    >>> public_name("simplecache::https://host/a.mrc")
    'simplecache::https://host/a.mrc'
    >>> public_name("what?.mrc")
    'what?.mrc'
    """
    if "://" not in url:
        return url
    return "::".join(re.sub(r"://[^/]*@", "://", re.split(r"[?#]", part)[0]) for part in url.split("::"))


def redactor(url: str, options: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a function that takes the credentials in URL and options out of a text."""
    users = re.findall(r"://([^/]*)@", url)
    parts = [part for user in users for part in user.split(":")] + re.findall(r"[?#]([^:]*)", url)
    secrets = {text for text in [*_texts(dict(options)), *parts] if len(text) > 3}  # noqa: PLR2004 -- shorter are words

    def redact(text: str) -> str:
        text = re.sub(r"(\w+://)[^/\s]*@", r"\1", re.sub(r"(\w+://[^\s?#'\"]*)[?#][^\s'\"]*", r"\1", text))
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
