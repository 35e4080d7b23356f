"""What a notebook works on: corpus and keyword, from its parameter cell or the environment, and where results go."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

from kws.data.corpus import Corpus, CorpusError, folder_corpus, word_of
from kws.data.download import ARCHIVES, download_speech_commands
from kws.data.manifest import is_corpus_of
from kws.voices.synthetic import SyntheticConfig, synthetic_corpus


@dataclass(frozen=True)
class Settings:
    """Parameters of a notebook; the environment variable ``KWS_<FIELD>`` overrides each, such as ``KWS_KEYWORD``.

    Attributes:
        corpus: "synthetic" (made on the spot), "speech_commands_v0.01" or "speech_commands_v0.02" (downloaded), or a folder of that shape.
        keyword: the word to hear; for the synthetic corpus any word.
        seeds: models trained of each kind, from seed 0 (but four teachers in ``experiments.ipynb``, and at most two of each kind in ``streaming.ipynb``).
        epochs: of each training. views: augmented views of each training clip; 0 is as many as ``kws.views.enough_views`` says.
        clips: size of the synthetic corpus.
        scenes: of the streaming models' training. talk: folder of recorded talk without the keyword, on which false alarms are counted; "" is
            synthetic talk by other voices. voices: folder of neural voices, Piper's or Kokoro's, that say half of the talk to train on; "" is
            espeak-ng alone. speech: folder of recorded speech without the keyword to train on, and to choose on what is in its folder "validation"; "" is none.
        embedding: file of a pretrained embedding of speech, through which the teachers of the streaming models hear; "" is none.
        cache: folder for what can be made again: synthetic corpora, downloads, decoded clips, views, training runs.
    """

    corpus: str = "synthetic"
    keyword: str = "sheila"
    seeds: int = 3
    epochs: int = 50
    views: int = 0
    clips: int = 3600
    scenes: int = 16_000
    talk: str = ""
    voices: str = ""
    speech: str = ""
    embedding: str = ""
    cache: str = ".cache"

    @classmethod
    def from_environment(cls, **values) -> "Settings":
        """Settings with these values, overridden by the environment. Raises ``ValueError`` naming a variable that is not a number or not known."""
        known = {f"KWS_{field.name.upper()}" for field in fields(cls)} | {"KWS_PUBLISH"}
        if unknown := sorted(name for name in os.environ if name.startswith("KWS_") and name not in known):
            raise ValueError(f"unknown environment variable {unknown[0]}; there are {', '.join(sorted(known))}")
        for field in fields(cls):
            variable = f"KWS_{field.name.upper()}"
            if variable in os.environ:
                try:
                    values[field.name] = field.type(os.environ[variable])
                except ValueError:
                    raise ValueError(
                        f"the environment variable {variable} must be a whole number, not {os.environ[variable]!r}"
                    ) from None
        settings = cls(**values)
        settings = replace(
            settings, keyword=word_of(settings.keyword) if settings.corpus == "synthetic" else settings.keyword
        )
        for name in ("talk", "voices", "speech"):
            if (folder := getattr(settings, name)) and not Path(folder).is_dir():
                raise ValueError(f"{name} is {folder!r}, which is no folder")
        if settings.embedding and not Path(settings.embedding).is_file():
            raise ValueError(f"embedding is {settings.embedding!r}, which is no file")
        if settings.talk and settings.speech:
            talk, speech = Path(settings.talk).resolve(), Path(settings.speech).resolve()
            if talk.is_relative_to(speech) or speech.is_relative_to(talk):
                raise ValueError(
                    f"talk ({settings.talk}) is for the test and speech ({settings.speech}) for training: they must be apart"
                )
        for name, least in (("seeds", 1), ("epochs", 1), ("views", 0), ("clips", 1), ("scenes", 1)):
            if getattr(settings, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(settings, name)}")
        return settings

    def open_corpus(self) -> Corpus:
        """The corpus, made or downloaded if need be. Raises ``CorpusError`` for a folder that is not there or lacks the keyword."""
        if self.corpus == "synthetic":
            corpus = synthetic_corpus(
                self.keyword.replace("_", " "), Path(self.cache) / "corpora", SyntheticConfig(clips=self.clips)
            )
        elif self.corpus.removeprefix("speech_commands_") in ARCHIVES:
            corpus = folder_corpus(
                download_speech_commands(Path(self.cache) / "corpora", self.corpus.removeprefix("speech_commands_")),
                self.corpus,
            )
        elif Path(self.corpus).is_dir():
            corpus = folder_corpus(self.corpus, Path(self.corpus).resolve().name)
        else:
            raise CorpusError(
                f"no corpus {self.corpus!r}: give 'synthetic', 'speech_commands_v0.01', 'speech_commands_v0.02' or an existing folder"
            )
        corpus.labels(self.keyword)
        return corpus

    def results_name(self, corpus: Corpus) -> str:
        """The folder below ``weights/`` and ``plots/`` for this corpus and keyword: ``<corpus>-<keyword>``, which git ignores.

        It is ``<keyword>``, the folder of the committed results, only where publishing was asked for (``make publish``
        sets KWS_PUBLISH=1), and only for the very corpus that ``weights/<keyword>/manifest.csv`` lists; another is refused.
        """
        if os.environ.get("KWS_PUBLISH") != "1":
            return f"{corpus.name}-{self.keyword}"
        manifest = Path("weights") / self.keyword / "manifest.csv"
        if not is_corpus_of(corpus, manifest):
            raise CorpusError(
                f"{manifest} does not list the clips of corpus {corpus.name!r}: write it first (python -m kws.data.manifest write)"
            )
        return self.keyword
