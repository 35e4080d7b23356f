"""Trainings that go on where they were killed: their state is kept on disk after every epoch."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kws.data.jobs import one_thread, tick
from kws.data.storage import save_whole
from kws.data.torch_files import CheckpointError, load_safely


def before_forking() -> None:
    """Import what making an optimizer imports: else each worker that trains would do so anew, for a second or two."""
    import_module("torch._dynamo")


@one_thread()
def drive(make: Callable[[], Any], path: Path | None = None, progress: bool = True, name: str = "training") -> Any:
    """Run the epochs that a ``kws.trainer.Trainer`` lacks on one thread, keeping its state at ``path`` after each.

    On more threads sums come in another order, and weights would differ between machines.
    """
    trainer = make()
    if path is not None and path.exists():
        try:
            trainer.load_state(load_safely(path))
        except (CheckpointError, KeyError, TypeError, ValueError, RuntimeError) as error:
            tqdm.write(f"{path.name} is not a state to resume from, starting anew ({error})")
            trainer = make()
    title, epochs = f"{name}, seed {trainer.seed}", trainer.config.epochs
    tick(trainer.epoch)
    with tqdm(total=epochs, initial=trainer.epoch, desc=title, unit="epoch", disable=not progress) as bar:
        while trainer.epoch < epochs:
            row = trainer.run_epoch()
            if path is not None:
                save_whole(trainer.state(), path)
            bar.set_postfix_str(f"loss {row['loss']:.4f}, validation AU_FA_FR {row['validation_au_fa_fr']:.2e}")
            bar.update()
            tick()
    return trainer.finish()


def state_path(runs: str | Path | None, name: str, seed: int, key: str) -> Path | None:
    """Where the state of a training is kept below a folder ``runs``."""
    return None if runs is None else Path(runs) / f"{name.replace(' ', '_')}-seed{seed}-{key}.pt"
