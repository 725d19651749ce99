"""Receivers of readings and events: files, brokers, databases, other services."""
