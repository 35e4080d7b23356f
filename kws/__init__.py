"""Tiny keyword spotting: train a CRNN that hears one word, and make it many times smaller and faster."""

from kws.checkpoint import load_model, save_model
from kws.cost import count_macs, score, size_in_bytes
from kws.data.audio import read_audio
from kws.evaluate import keyword_probability
from kws.metrics import au_fa_fr
from kws.model import CRNN, CRNNConfig
from kws.version import __version__

__all__ = [
    "CRNN",
    "CRNNConfig",
    "__version__",
    "au_fa_fr",
    "count_macs",
    "keyword_probability",
    "load_model",
    "read_audio",
    "save_model",
    "score",
    "size_in_bytes",
]
