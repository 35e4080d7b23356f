"""What the trials of a search learn from and are judged on: the same takes of the same clips, through any front end."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from kws.compress import as_stored, fold_batch_norm
from kws.data.augment import WaveformAugmentation
from kws.data.storage import fingerprint
from kws.data.torch_files import cache_file, cached
from kws.evaluate import probabilities
from kws.features import LogMel, log_mels
from kws.metrics import one_minus_auc
from kws.research.conditions import in_noise
from kws.research.networks import KINDS_OF_TEACHER
from kws.research.ruler import NOISY
from kws.research.search_space import SPECTRA, Candidate, FrontEnd
from kws.research.study import Study
from kws.research.teachers import mean_targets
from kws.targets import Targets, teach
from kws.train import ClipObjective
from kws.trainer import TrainConfig, Trainer
from kws.views import TrainingData, enough_views, make_views, training_data

KIND = "speaker-disjoint"
VIEWS = 8  # of each clip at most: they are made once for each spectrum
SEED = 0  # of all trials: what differs between them is what was chosen


class Views:
    """The views of a front end, made of its spectrum's (views, train clips, bands, 101) when a batch asks for them."""

    def __init__(self, fine: Tensor, front_end: FrontEnd):
        self.fine, self.front_end = fine, front_end

    def __len__(self) -> int:
        return len(self.fine)

    def __getitem__(self, which: tuple[Tensor, Tensor]) -> Tensor:
        return self.front_end.derive(self.fine[which].float())


class Material:
    """Clips, their takes through each spectrum, and what teachers say of them.

    Args:
        study: of the keyword; its teachers are trained if they are not there.
        epochs: of a whole trial.
        taught: learn from teachers; without, from labels alone.
    """

    def __init__(self, study: Study, epochs: int, taught: bool = True):
        self.study, self.epochs, self.split = study, epochs, study.splits[KIND]
        given = (
            study.clips,
            study.keyword,
            self.split,
            study.settings.views or min(VIEWS, enough_views(len(self.split.train))),
        )
        self.data = training_data(*given, cache=study.settings.cache)
        self.targets = self._said() if taught else None
        self.key = fingerprint(self.data.key, self.targets.key if self.targets else "labels")
        self._fine: dict[str, dict[str, Tensor]] = {}

    def _said(self) -> Targets:
        """The mean of what the teachers say of each view; kept, for it takes minutes."""
        names = ("teacher", *KINDS_OF_TEACHER)
        self.study.fit(*names, kinds=(KIND,))
        paths = [self.study.path(name, KIND, seed) for name in names for seed in self.study.seeds(name)]
        key = fingerprint(self.data.key, *(path.read_bytes() for path in paths))

        def make() -> dict:
            said = mean_targets([teach(path, self.data) for path in paths])
            return {"logits": said.logits, "n_mels": said.n_mels}

        file = cache_file(self.study.settings.cache, self.study.corpus.name, "search-teachers")
        value = cached(file, key, make)
        return Targets(value["logits"], {}, {}, value["n_mels"], self.split.fingerprint, key)

    def spectrum(self, name: str) -> dict[str, Tensor]:
        """Through one spectrum: log_mel (clips, bands, 101), noisy (places, validation clips, bands, 101), views (views, train clips, bands, 101).

        log_mel is of the training and validation clips, others are NaN. Noisy and views are float16.
        """
        if name not in self._fine:
            spectrum, bands = SPECTRA[name]
            front_end, clips = LogMel(bands, spectrum), self.study.clips

            def make() -> dict:
                wanted = torch.from_numpy(np.concatenate([self.split.train, self.split.validation]))
                log_mel = torch.full((len(clips.waveforms), bands, 101), torch.nan)
                log_mel[wanted] = log_mels(clips.waveforms[wanted], front_end)
                heard = replace(self.data, log_mel=log_mel)
                places = [(clips, heard, snr_db, "validation", 0, noise, front_end) for noise, snr_db in NOISY]
                noisy = torch.stack([in_noise(*place).log_mel[self.split.validation].half() for place in places])
                takes = (self.split.train, len(self.data.views), WaveformAugmentation(), 0, front_end)
                return {"log_mel": log_mel, "noisy": noisy, "views": make_views(clips, *takes)}

            what = f"search-{spectrum.rate}-{spectrum.window}"
            file = cache_file(self.study.settings.cache, self.study.corpus.name, what)
            self._fine[name] = cached(file, fingerprint(self.data.key, SPECTRA[name], NOISY), make)
        return self._fine[name]

    def heard(self, front_end: FrontEnd) -> tuple[TrainingData, Tensor]:
        """Through one front end: what is learnt from, and the validation clips in noise (places, clips, bands, frames)."""
        fine = self.spectrum(front_end.spectrum)
        views = Views(fine["views"], front_end)
        quiet = replace(self.data, log_mel=front_end.derive(fine["log_mel"]), views=views)
        return quiet, front_end.derive(fine["noisy"].float())


def errors_at_rungs(found: Candidate, material: Material, rungs: tuple[float, ...]) -> Iterator[float]:
    """Train a candidate; after each share of the epochs, its 1 - AUC on validation clips as int8, the mean over noises that training has not heard.

    Raises ``TrainingError`` if it diverges, ``StorageError`` for values beyond int8.
    """
    return (error for error, _ in trained_at_rungs(found, material, rungs))


def trained_at_rungs(
    found: Candidate, material: Material, rungs: tuple[float, ...]
) -> Iterator[tuple[float, nn.Module]]:
    """``errors_at_rungs``, each with the network, batch norm folded in, that it is of."""
    quiet, noisy = material.heard(found.front_end)
    labels = quiet.labels[torch.from_numpy(material.split.validation)]
    config = TrainConfig(
        material.epochs, learning_rate=found.learning_rate, weight_decay=found.weight_decay, keep="last"
    )
    # What teachers said of a take holds whatever it is heard through.
    targets = material.targets and replace(material.targets, n_mels=found.front_end.bands)
    objective = ClipObjective(quiet, config, targets, found.distill)
    trainer = Trainer(objective, found.network, config, SEED, torch.device("cpu"))
    for share in rungs:
        while trainer.epoch < max(1, round(share * material.epochs)):
            trainer.run_epoch()
        model = fold_batch_norm(trainer.averaged.module.eval())
        stored = as_stored(model, "int8", packed=True)
        yield float(np.mean([one_minus_auc(probabilities(stored, heard), labels) for heard in noisy])), model
