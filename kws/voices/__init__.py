"""Synthetic speech: a corpus of any keyword, and talk without it, said by espeak-ng or by neural voices."""

from kws.voices.espeak import Espeak
from kws.voices.find import find_voices, open_voice
from kws.voices.synthetic import SyntheticConfig, synthetic_corpus
from kws.voices.talk import Talk, synthetic_talk

__all__ = ["Espeak", "SyntheticConfig", "Talk", "find_voices", "open_voice", "synthetic_corpus", "synthetic_talk"]
