"""The store: what should exist. SQLite in the root directory."""
