"""How much faster the trainings of ``experiments.ipynb`` are on several cores, and whether they give the same bytes.

``.venv/bin/python -m recipes.jobs_benchmark [JOBS]`` trains them on a small synthetic corpus with one job and with JOBS (2), in turn.
"""

import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

from kws.research import Settings, Study, networks

EPOCHS = 6
FIRST = ("base", "teacher")  # the others learn from these


def trained(folder: Path, jobs: int) -> tuple[float, str]:
    """Seconds that the trainings take with so many jobs, and a checksum of all weights."""
    os.environ["KWS_JOBS"] = str(jobs)
    os.chdir(folder)
    study = Study(Settings(keyword="sheila", seeds=1, epochs=EPOCHS, clips=1200, views=4, cache=".cache"))
    # Corpus, views and targets are made before the clock starts: what is timed is training.
    study.fit(*FIRST)
    for kind in study.splits:
        study.targets(kind, 1), study.targets(kind, networks.TEACHERS)
    begun = time.perf_counter()
    study.fit(*networks.STEPS, *networks.CONTROLS)
    study.fit(*networks.SEPARABLE, *networks.REVERSED_CONTROL, *networks.PEERS, kinds=("published",))
    seconds = time.perf_counter() - begun
    weights = sorted(study.weights.rglob("*.pt"))
    return seconds, hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()


def main() -> int:
    """Print both times, their ratio and whether the weights are the same; the status is 1 if they are not."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    found = {}
    for count in (1, jobs):
        with tempfile.TemporaryDirectory() as folder:
            found[count] = trained(Path(folder), count)
    (alone, first), (together, second) = found[1], found[jobs]
    print(f"1 job {alone:.0f} s, {jobs} jobs {together:.0f} s: {alone / together:.2f} times as fast")
    print(f"the same bytes: {'yes' if first == second else 'no'}")
    return int(first != second)


if __name__ == "__main__":
    sys.exit(main())
