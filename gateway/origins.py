"""Which origins are allowed: exact ones, and patterns that stand for one label.

Pure: from what an operator wrote, and a browser sent, to yes or no.
"""

import re
from collections.abc import Iterable

ANY = "*"

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PORT = r"(?::[1-9][0-9]{0,4})?"
# As browsers write them, RFC 6454, 6.2: lower case, and no port that is the scheme's own.
_WEB = re.compile(rf"https?://(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]){_PORT}")
_APP = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*://[a-z0-9._-]+")
_PATTERN = re.compile(rf"(https?://)\*(\.(?:{_LABEL}(?:\.{_LABEL})+|localhost){_PORT})")
_OWN_PORT = re.compile(r"http:.*:80|https:.*:443")


class Origins:
    """The origins that `written` names, or means by a pattern such as `https://*.example.com`.

    The `*` of a pattern is exactly one label, the first of a host that has two more at
    least (or one, `localhost`); scheme and port are as written. An app's origin, such
    as `capacitor://localhost`, can be named, but is no pattern. `*` alone is anyone.

    Raises ValueError, which does not repeat what was written.
    """

    def __init__(self, written: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._patterns: list[tuple[str, str]] = []
        self.anyone = False
        for text in written:
            if text == ANY:
                self.anyone = True
            elif _OWN_PORT.fullmatch(text):
                raise ValueError("has an origin with its scheme's own port, which browsers omit")
            elif found := _PATTERN.fullmatch(text):
                self._patterns.append((found[1], found[2]))
            elif _WEB.fullmatch(text) or _APP.fullmatch(text):
                self._exact.add(text)
            else:
                raise ValueError(
                    "is a list of origins as browsers send them, such as "
                    "https://app.example.com or https://*.example.com"
                )
        if self.anyone and (self._exact or self._patterns):
            raise ValueError("is either * or a list of origins")

    def __contains__(self, origin: str) -> bool:
        """Return whether an origin, as a browser sent it, is allowed."""
        if self.anyone or origin in self._exact:
            return True
        return any(
            origin.startswith(start)
            and origin.endswith(end)
            and re.fullmatch(_LABEL, origin[len(start) : -len(end)]) is not None
            for start, end in self._patterns
        )
