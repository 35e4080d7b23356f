"""Train the ear: a streaming CRNN that has learnt, by distillation, what a pretrained embedding hears in clean speech, and hears it in noise.

``.venv/bin/python -m recipes.ear EMBEDDING SPEECH NOISE VALIDATION OUT`` takes the embedding's file, three folders of sound files and the
folder to write to. Networks of all sizes in ``EARS`` learn from the same scenes. A GPU does it in minutes; without one it takes days.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from kws.checkpoint import Provenance, save_model
from kws.distill import ProjectedPair
from kws.features import LogMel, frames_in
from kws.research.networks import EARS
from kws.research.speech_embedding import SpeechEmbedding, embedded_steps, load_speech_embedding
from kws.research.stepwise import CRNNSteps
from kws.targets import alignment, tap
from kws.trainer import Judgement, Objective, TrainConfig, Trainer
from recipes.ear_sound import SAMPLES, Mixer, sounds_below

BATCH, STEPS_AN_EPOCH = 256, 50
LATE = 5.0  # frames: what the embedding has heard then is asked for now, so that no step of it is asked for in advance
VALIDATION_SEED, VALIDATION_BATCHES = 10**9, 4


class Scenes:
    """What every network hears and is to say: log-mels (batch, 40, frames) and normalized features (batch, steps, 96), by seed."""

    def __init__(self, mixer: Mixer, embedding: SpeechEmbedding):
        self.mixer, self.embedding = mixer, embedding
        self.front_end = LogMel().to(mixer.device)
        features = torch.cat([self._features(mixer(BATCH, seed).clean) for seed in range(10**6, 10**6 + 8)])
        self.mean, self.scale = features.mean((0, 1)), features.std((0, 1)).clamp_min(1e-3)
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def __call__(self, seed: int) -> tuple[Tensor, Tensor]:
        if seed not in self.kept:
            heard, clean = self.mixer(BATCH, seed)
            wanted = (self._features(clean) - self.mean) / self.scale
            self.kept[seed] = self.front_end(heard).half(), wanted.half()
        return self.kept[seed]

    @torch.no_grad()
    def _features(self, clean: Tensor) -> Tensor:
        return self.embedding(clean).transpose(1, 2)


class EarObjective(Objective):
    """Both recurrent layers are pulled to the embedding through learned projections. Networks of one seed are given the same scenes."""

    layers = ("recurrent.0", "recurrent.1")

    def __init__(self, train: Scenes, validation: Scenes):
        super().__init__()
        self.train_scenes, self.validation_scenes = train, validation
        rows = BATCH * STEPS_AN_EPOCH
        self.chances = torch.full((rows,), 1 / rows)

    def attach(self, model: nn.Module) -> None:
        self.steps = CRNNSteps(model)
        self.named = [name for name in self.layers if int(name[-1]) < model.config.layers]
        frames = frames_in(SAMPLES)
        in_time = alignment(self.steps.ends(frames) - LATE, embedded_steps(frames).float())
        self.heads = nn.ModuleList(ProjectedPair(model.config.hidden, 96, in_time) for _ in self.named)

    def batch(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.train_scenes(int(torch.randint(10**6, 10**9, (1,), generator=generator)))

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        errors = self._errors(model, self.steps, batch)
        return torch.stack(list(errors.values())).mean(), errors

    def _errors(self, model: nn.Module, steps: CRNNSteps, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        with tap(model, self.named) as outputs:
            steps.whole(batch[0].float())
        return {name: head(outputs[name], batch[1].float()) for name, head in zip(self.named, self.heads, strict=True)}

    @torch.no_grad()
    def judge(self, model: nn.Module) -> Judgement:
        steps, errors = CRNNSteps(model), []
        for seed in range(VALIDATION_SEED, VALIDATION_SEED + VALIDATION_BATCHES):
            errors.append(list(self._errors(model, steps, self.validation_scenes(seed)).values())[-1])
        loss = float(torch.stack(errors).mean())
        return Judgement(loss, loss)


def train_ears(
    train: Scenes, validation: Scenes, names: Sequence[str], epochs: int, folder: Path | None = None, about: str = ""
) -> dict[str, Trainer]:
    """Trainers that have run to their end, by name of ``EARS``; all hear the same scenes."""
    device = train.mixer.device
    config = {
        "epochs": epochs,
        "batch": BATCH,
        "warm_up": 0.1,
        "weight_decay": 0.02,
        "keep": "last",
        "clean_share": 0.0,
    }
    trainers = {
        name: Trainer(
            EarObjective(train, validation),
            EARS[name].config,
            TrainConfig(learning_rate=EARS[name].learning_rate, **config),
            0,
            device,
        )
        for name in names
    }
    with tqdm(total=epochs, desc="training ears", unit="epoch", disable=folder is None) as bar:
        kept = time.perf_counter()
        for _ in range(epochs):
            said = {name: trainer.run_epoch()["validation_loss"] for name, trainer in trainers.items()}
            train.kept.clear()
            bar.set_postfix_str("unexplained " + ", ".join(f"{name} {loss:.3f}" for name, loss in said.items()))
            bar.update()
            if folder and time.perf_counter() > kept + 60:
                keep(trainers, about, folder)
                kept = time.perf_counter()
    return trainers


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("embedding", "speech", "noise", "validation", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=7.0, help="of training, about")
    parser.add_argument("--about", default="", help="what it hears, for the checkpoint")
    parser.add_argument("--names", nargs="+", default=list(EARS), choices=list(EARS))
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folders = (options.speech, options.noise, options.validation)
    speech, noise, validation = [sound.to(device) for sound in [sounds_below(folder) for folder in folders]]
    embedding = load_speech_embedding(options.embedding).to(device)
    print(
        *(
            f"{name} {len(pool) / 16000 / 3600:.2f} h"
            for name, pool in zip(("speech", "noise", "validation"), (speech, noise, validation), strict=True)
        )
    )
    train, held_out = Scenes(Mixer(speech, noise), embedding), Scenes(Mixer(validation, noise), embedding)
    # How long an epoch takes, from two of them.
    train_ears(train, held_out, options.names, 1)
    started = time.perf_counter()
    train_ears(train, held_out, options.names, 1)
    epochs = max(2, int(options.minutes * 60 / (time.perf_counter() - started)))
    trainers = train_ears(train, held_out, options.names, epochs, options.out, options.about)
    keep(trainers, options.about, options.out)
    for name, trainer in trainers.items():
        print(name, epochs, trainer.history[-1])


def keep(trainers: dict[str, Trainer], heard: str, folder: Path) -> None:
    """Write the averaged weights so far, with what was heard and how much of the embedding they leave unexplained."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, trainer in trainers.items():
        run = trainer.finish()
        left = {"unexplained variance of the embedding, other voices": run.validation_loss}
        save_model(folder / f"{name}.pt", run.model, Provenance("", heard, "", "", 0, 0, left))


if __name__ == "__main__":
    main()
