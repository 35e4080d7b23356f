"""A saved ONNX stream at work: chunks of any length are cut into steps, with NumPy and ONNX Runtime alone.

The graph takes the samples of one step and the state, and gives the probability and the next state. The names and
shapes of the states are the graph's own inputs. What they start as is in its metadata "kws", as numbers that are repeated until the
state is full; ``frames`` is full of ``silence``. Whoever writes another client needs to know two things more:

- A stream begins with ``step_samples - first_sample % step_samples`` zeros, so that calls end where steps do.
- Its first ``early_steps`` calls overlap the silence before it. Of these the states ``samples`` and ``frames`` go on,
  the others stay, and the probability is none.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

from kws.data.torch_files import CheckpointError
from kws.streaming.model import LOUDEST

SOUND = ("samples", "frames")  # states that hold sound; the others hold what the network made of it
STATES = (*SOUND, "recurrent", "past")


class OnnxStream:
    """A saved ONNX stream: ``stream(chunk)`` gives the keyword probability of every new step.

    One object is one stream: a copy would share its state. Raises ``FileNotFoundError``, and ``CheckpointError`` for
    a file that is no such stream.

    Attributes:
        keyword, threshold, smoothing, step_samples, first_sample: as of ``StreamingModel``.
    """

    def __init__(self, path: str | Path):
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            about = json.loads(self.session.get_modelmeta().custom_metadata_map["kws"])
            self._early = about["early_steps"]
        except Exception as error:  # ONNX Runtime's errors share no other class
            raise CheckpointError(
                f"{path}: not an ONNX stream of this version of the package, or damaged ({error})"
            ) from error
        # What the stream is, and what its states start as.
        self.keyword, self.threshold, self.smoothing = about["keyword"], about["threshold"], about["smoothing"]
        self.step_samples, self.first_sample = about["step_samples"], about["first_sample"]
        shapes = {i.name: i.shape for i in self.session.get_inputs()}
        about["start"]["frames"] = [about["silence"]]
        # One row or one number is repeated.
        self._start = {n: np.resize(np.float32(about["start"][n]), shapes[n]) for n in STATES if n in shapes}
        # A call reads and writes in fixed places, which saves much of what it costs: two states take turns.
        self._chunk, self._probability = np.zeros((1, self.step_samples), np.float32), np.zeros(1, np.float32)
        self._states = [{name: value.copy() for name, value in self._start.items()} for _ in range(2)]
        self._bindings = [self._bound(before, after) for before, after in (self._states, self._states[::-1])]
        self.reset()

    def _bound(self, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> onnxruntime.IOBinding:
        """The places of one call: the state it reads and the one it writes."""
        binding = self.session.io_binding()
        for name, value in {"chunk": self._chunk, **before}.items():
            binding.bind_input(name, "cpu", 0, np.float32, value.shape, value.ctypes.data)
        for name, value in {"probability": self._probability, **{f"next_{n}": v for n, v in after.items()}}.items():
            binding.bind_output(name, "cpu", 0, np.float32, value.shape, value.ctypes.data)
        return binding

    def reset(self) -> None:
        """Forget what was heard."""
        self._turn, self._early_left = 0, self._early
        for name, value in self._start.items():
            self._states[0][name][:] = value
        # A step ends where the model's steps do: the first call hears silence first.
        self.pending = np.zeros(self.step_samples - self.first_sample % self.step_samples, np.float32)

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        """Samples (any number,) int16 or floating point to keyword probabilities (steps,) float32.

        Raises ``ValueError`` for another shape or dtype, NaN and infinity. The stream then goes on as if the chunk had
        not been there.
        """
        chunk = np.asarray(chunk)
        if chunk.ndim != 1 or chunk.dtype not in (np.int16, np.float32, np.float64):
            raise ValueError(
                f"a chunk has shape (samples,) and holds int16 or float samples; got {chunk.dtype}, shape {chunk.shape}"
            )
        # As float32 within bounds.
        chunk = chunk / np.float32(32768) if chunk.dtype == np.int16 else chunk.astype(np.float32)
        loudest = np.abs(chunk).max(initial=0)  # NaN if one sample is
        if not loudest < np.inf:
            raise ValueError("the chunk holds NaN or infinite samples; the stream goes on without it")
        if loudest > LOUDEST:
            chunk = chunk.clip(-LOUDEST, LOUDEST)
        # One call a step; what does not fill one waits. Early steps overlap the silence before and give nothing.
        heard = np.concatenate([self.pending, chunk])
        found = [np.empty(0, np.float32)]
        for end in range(self.step_samples, len(heard) + 1, self.step_samples):
            self._chunk[0] = heard[end - self.step_samples : end]
            self.session.run_with_iobinding(self._bindings[self._turn])
            self._turn = 1 - self._turn
            if self._early_left:
                self._early_left -= 1
                for name in self._start.keys() - SOUND:
                    self._states[self._turn][name][:] = self._start[name]
            else:
                found.append(self._probability.copy())
        self.pending = heard[len(heard) - len(heard) % self.step_samples :]
        return np.concatenate(found)
