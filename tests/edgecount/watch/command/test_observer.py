"""What is done beside a service while it runs."""

import threading

from edgecount.cli._watch import observer
from edgecount.cli._watch.observer import Observer


class Idle:
    """A service in which nothing happens, and systemd that nobody told."""

    def subscribe(self):
        return self

    def get(self, _timeout):
        return []

    def close(self):
        pass

    def sinks(self):
        return []

    def heartbeat(self):
        return 0.0

    def status(self, _text):
        pass

    def alive(self):
        pass


def test_unused_memory_is_given_back_now_and_then(monkeypatch):
    freed = threading.Event()
    monkeypatch.setattr(observer, "_EVERY", 0.01)
    monkeypatch.setattr(observer, "_TRIM", 0.0)
    monkeypatch.setattr(observer, "status_of", lambda _service: "")
    monkeypatch.setattr(observer, "free_unused", freed.set)
    with Observer(Idle(), Idle()):
        assert freed.wait(30)
