"""The one family of errors this package raises.

Every error is an `LteError` and also a subclass of the nearest builtin, so
that both ``except LteError`` and ``except ValueError`` do what a caller
expects. Messages echo the bad value and say what to do about it.
"""


class LteError(Exception):
    """Base of every error raised by lte-chains."""


class InvalidEditError(LteError, ValueError):
    """An edit that cannot be stored: empty, too long, or with NUL bytes."""


class UnknownEditError(LteError, KeyError):
    """An id, or a revision, that this namespace of the memory does not hold."""

    def __str__(self) -> str:
        """Return the message itself (`KeyError` would quote it)."""
        return str(self.args[0]) if self.args else ""


class ConflictError(LteError, RuntimeError):
    """Somebody else was first: the namespace is not at the revision given as `if_revision`."""


class ConfigError(LteError, ValueError):
    """An argument or a run configuration that cannot be honoured."""


class StoreError(LteError, OSError):
    """The store cannot be opened, read or written."""


class EmbeddingError(LteError, ValueError):
    """Vectors that do not fit: another embedder, or another dimension."""


class ModelError(LteError, OSError):
    """A model or an adapter that cannot be loaded."""


class DataError(LteError, ValueError):
    """A file of edits or of evaluation rows that cannot be read."""


class MissingExtraError(LteError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the missing `package` and the `extra` that brings it."""
        super().__init__(
            f"{package} is not installed. Install it with: pip install 'lte-chains[{extra}]'"
        )
