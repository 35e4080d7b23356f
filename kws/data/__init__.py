"""Recordings: reading sound, a corpus of one-word clips, its manifest and download, and what is kept on disk."""

from kws.data.audio import read_audio
from kws.data.corpus import Corpus, CorpusError, folder_corpus

__all__ = ["Corpus", "CorpusError", "folder_corpus", "read_audio"]
