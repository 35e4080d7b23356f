"""Tiny keyword spotting: train a CRNN that hears one word, and make it many times smaller and faster."""

from importlib import import_module

__version__ = "0.1.0"

# What a user takes from here, and its file. It is imported when it is first asked for: torch takes seconds, `kws --help` none.
_HOME = {
    "CRNN": "kws.model",
    "CRNNConfig": "kws.model",
    "au_fa_fr": "kws.metrics",
    "count_macs": "kws.cost",
    "keyword_probability": "kws.evaluate",
    "load_model": "kws.checkpoint",
    "read_audio": "kws.data.audio",
    "save_model": "kws.checkpoint",
    "score": "kws.cost",
    "size_in_bytes": "kws.cost",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
