"""What a notebook works on: corpus, keyword and effort, from its parameter cell or the environment, and where results go."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

from kws.data.corpus import Corpus, CorpusError, folder_corpus
from kws.data.download import ARCHIVES, download_speech_commands
from kws.data.manifest import is_corpus_of
from kws.voices.synthetic import SyntheticConfig, synthetic_corpus
from kws.voices.text import folder_name, spoken

OTHER_VARIABLES = {"KWS_JOBS"}
USUAL = {
    "ear": "weights/ears",
    "voices": "voices",
    "speech": "lines",
}  # what a synthetic corpus goes with, where it is there


class NotTrained(FileNotFoundError):
    """Weights that are asked for without leave to train them; the message says which and what to do."""


@dataclass(frozen=True)
class Effort:
    """How much the streaming models are trained on and judged on, and for how long models are timed.

    Attributes:
        scenes: to train on at first; mining and fresh scenes for students add some two more times as many.
        validation_scenes: to judge each epoch on.
        talk_minutes: of synthetic talk to train on; a sixth as much is made for validation and for test.
        stand_in_minutes: of synthetic talk on which false alarms are counted where no recorded talk is given.
        other_scenes: of 30 s without the keyword, on which thresholds are chosen.
        cuttings: random cuttings of a minute by which streams are compared with offline models.
        timed_seconds: for which all models take turns when calls are timed; timed_batches: clips in a call.
        timed_rounds: of streams, which take turns as well.
        mining: rounds of looking for hard scenes, 1 or 2; the second has teachers of its own, and takes as long as training them.
        word_scenes: of networks that begin as an ear, which hear each scene twice and no more.
    """

    scenes: int
    validation_scenes: int
    talk_minutes: float
    stand_in_minutes: float
    other_scenes: int
    cuttings: int
    timed_seconds: float
    timed_batches: tuple[int, ...]
    timed_rounds: int
    mining: int = 2
    word_scenes: int = 128


EFFORTS = {
    "tiny": Effort(128, 64, 128 / 150, 1.28, 1, 10, 0.0, (1,), 1),
    "small": Effort(2_000, 100, 2_000 / 150, 20.0, 20, 12, 5.0, (1, 64), 10, mining=1, word_scenes=24_000),
    "full": Effort(24_000, 1_200, 160.0, 240.0, 120, 150, 60.0, (1, 256), 30, word_scenes=96_000),
}
""""tiny" only shows that everything runs, "small" is the notebooks' default, "full" is that of the committed results."""


@dataclass(frozen=True)
class Settings:
    """Parameters of a notebook; the environment variable ``KWS_<FIELD>`` overrides each, such as ``KWS_KEYWORD``.

    Attributes:
        corpus: "synthetic" (made on the spot), "speech_commands_v0.01" or "_v0.02" (downloaded), or a folder of that shape.
        keyword: the word to hear, by the name of its folder; of a synthetic corpus it may be given as one types it.
        say: how the keyword is said, where its name does not tell; "" is as it is spelt.
        seeds: models trained of each kind, from seed 0; of teachers four in ``experiments``, at most two a kind in ``streaming``.
        split_seed: of the random splits; take another where a small corpus leaves a subset without the keyword.
        epochs: of each training of the base; others train a multiple.
        views: augmented views of each training clip; 0 is as many as ``kws.views.enough_views`` says, but at most ten without full effort.
        clips: size of the synthetic corpus.
        effort: of the streaming models, a name in ``EFFORTS``.
        talk: folder of recorded talk without the keyword, on which false alarms are counted; "" is synthetic talk.
        voices: folder of neural voices that say half of the talk to train on, and of the keywords in it; "" is espeak-ng alone.
        speech: folder of recorded speech without the keyword to train on; its folder "validation" is chosen on; "" is none.
        embedding: file of a pretrained embedding, through which teachers of streams hear; "" is none.
        ear: folder of pretrained networks that streams begin as; "" is by chance, as the committed ones did.
        positive, negative: folders of own recordings, with the keyword once in each and without it; "" is none.
        cache: folder for what can be made again: corpora, downloads, decoded clips, views, states of trainings.
        publish: write to the folders of the committed results.
        report: train nothing, load what was trained.
        anew: train also what was trained before.
    """

    corpus: str = "synthetic"
    keyword: str = "sheila"
    say: str = ""
    seeds: int = 3
    split_seed: int = 0
    epochs: int = 50
    views: int = 0
    clips: int = 3600
    effort: str = "small"
    talk: str = ""
    voices: str = ""
    speech: str = ""
    embedding: str = ""
    ear: str = ""
    positive: str = ""
    negative: str = ""
    cache: str = ".cache"
    publish: bool = False
    report: bool = False
    anew: bool = False

    @classmethod
    def from_environment(cls, given: dict | None = None, /, **values) -> "Settings":
        """Settings with these values, overridden by the environment, and that by what is ``given``.

        Raises ``ValueError`` naming a variable that is wrong or unknown.
        """
        known = {f"KWS_{field.name.upper()}": field for field in fields(cls)}
        for variable in sorted(name for name in os.environ if name.startswith("KWS_")):
            if variable not in known.keys() | OTHER_VARIABLES:
                names = ", ".join(sorted(known.keys() | OTHER_VARIABLES))
                raise ValueError(f"unknown environment variable {variable}; there are {names}")
            if variable in known:
                values[known[variable].name] = _parsed(variable, known[variable].type)
        values |= given or {}
        # A word that is typed has an ear to begin with, and natural voices where they were fetched.
        if values.get("corpus", cls.corpus) == "synthetic":
            values = {name: folder for name, folder in USUAL.items() if Path(folder).is_dir()} | values
        settings = cls(**values)
        if settings.corpus == "synthetic":
            name, said = folder_name(settings.keyword), spoken(settings.say or settings.keyword)
            settings = replace(settings, keyword=name, say="" if said == name.replace("_", " ") else said)
        settings.check()
        return settings

    def check(self) -> None:
        """Raise ``ValueError`` for a value out of range, or a folder or file that is not there."""
        for name, least in (("seeds", 1), ("epochs", 1), ("views", 0), ("clips", 1), ("split_seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.effort not in EFFORTS:
            raise ValueError(f"effort is {self.effort!r}; it must be one of {', '.join(EFFORTS)}")
        for name in ("talk", "voices", "speech", "ear", "positive", "negative"):
            if (folder := getattr(self, name)) and not Path(folder).is_dir():
                hint = "; it comes with the repository: run this in its folder" if name == "ear" else ""
                raise ValueError(f"{name} is {folder!r}, which is no folder{hint}")
        if self.embedding and not Path(self.embedding).is_file():
            raise ValueError(f"embedding is {self.embedding!r}, which is no file")
        if self.talk and self.speech:
            talk, speech = Path(self.talk).resolve(), Path(self.speech).resolve()
            if talk.is_relative_to(speech) or speech.is_relative_to(talk):
                raise ValueError(
                    f"talk ({self.talk}) is for the test and speech ({self.speech}) for training: they must be apart"
                )

    def open_corpus(self) -> Corpus:
        """The corpus, made or downloaded if need be. Raises ``CorpusError`` for a folder that is not there or lacks the keyword."""
        corpora, version = Path(self.cache) / "corpora", self.corpus.removeprefix("speech_commands_")
        if self.corpus == "synthetic":
            corpus = synthetic_corpus(self.keyword, corpora, SyntheticConfig(clips=self.clips), say=self.say)
        elif version in ARCHIVES:
            corpus = folder_corpus(download_speech_commands(corpora, version), self.corpus)
        elif Path(self.corpus).is_dir():
            corpus = folder_corpus(self.corpus, Path(self.corpus).resolve().name)
        else:
            raise CorpusError(
                f"no corpus {self.corpus!r}: give 'synthetic', 'speech_commands_v0.01', 'speech_commands_v0.02' or an existing folder"
            )
        corpus.labels(self.keyword)
        return corpus

    def results_names(self, corpus: Corpus) -> tuple[str, str]:
        """The folders below ``weights/`` and below ``plots/``: ``<corpus>-<keyword>``, which git ignores.

        Publishing writes to ``<keyword>``, the folder of the committed results, and reporting reads its weights: both only for
        the very corpus that ``weights/<keyword>/manifest.csv`` lists. Publishing another raises ``CorpusError``.
        """
        own, manifest = f"{corpus.name}-{self.keyword}", Path("weights") / self.keyword / "manifest.csv"
        committed = (self.publish or self.report) and is_corpus_of(corpus, manifest)
        if self.publish and not committed:
            raise CorpusError(
                f"{manifest} does not list the clips of corpus {corpus.name!r}: write it first (kws manifest write)"
            )
        return self.keyword if committed else own, self.keyword if self.publish else own


def _parsed(variable: str, kind: type) -> str | int | bool:
    value = os.environ[variable]
    if kind is bool:
        if value not in ("", "0", "1"):
            raise ValueError(f"the environment variable {variable} must be 0 or 1, not {value!r}")
        return value == "1"
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"the environment variable {variable} must be a whole number, not {value!r}") from None
