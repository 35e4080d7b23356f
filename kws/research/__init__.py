"""This study: its settings, its networks by name, how they are trained, and what notebooks ask of them."""

from kws.research.settings import Settings
from kws.research.stream_study import StreamStudy
from kws.research.study import Study
from kws.research.word_study import WordStudy, open_stream_study

__all__ = ["Settings", "StreamStudy", "Study", "WordStudy", "open_stream_study"]
