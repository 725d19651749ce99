"""Share what the pages of `watch` and `label` need: who is let in, and how it is served.

`guard` checks hosts, origins and sizes and sets headers, by the tokens and cookies of `access` and
the tries of `limits`. `assets` answers with the files of a page, and with those of both, which are
in `static/`; `reply` reads and writes JSON; `serving` runs a server in a thread, whose connections
are dropped by `patience` when they ask for nothing.
"""
