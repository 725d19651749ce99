"""The page of a running service: live pictures, counts, history, alarms, and who may see them.

`PageServer` serves it beside the service from a thread of its own. `contract` says what it needs
of the service; `app` puts the parts together: `api` (routes), `live` (the WebSocket), `messages`
(numbers as JSON) and the guard of `edgecount._web`, by the tokens that `tokens` reads. The files of
the page itself are in `static/`, but for those that the page of `edgecount label` has, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecount.watch.page.server import PageServer

__all__ = ["PageServer"]


def __getattr__(name: str) -> object:
    if name == "PageServer":
        from edgecount.watch.page.server import PageServer

        return PageServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
