"""The streaming model as ONNX: one step a call, the state going in and out, the front end inside.

The graph takes the samples of one step and gives the keyword probability there; ``OnnxStream`` cuts a stream of chunks of any length
into steps and keeps the state, computing with NumPy and ONNX Runtime. The names of the states and their shapes are the graph's own inputs.
In the metadata "kws" are what they start as (``frames`` is full of ``silence``). A stream begins with
``step_samples - first_sample % step_samples`` zeros, so that calls end where steps do, and its first ``early_steps`` calls overlap the
silence before it: of these the states ``samples`` and ``frames`` go on, the others stay, and the probability is none.
"""

import copy
import io
import json
import math
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from kws.data.storage import CheckpointError, replacing
from kws.features import HOP, WINDOW
from kws.streaming.network import LOUDEST, StreamingCRNN, StreamingModel

OPSET = 17  # of the ONNX operators
SOUND = ("samples", "frames")  # states that hold sound; the others hold what the network made of it
STATES = (*SOUND, "recurrent", "past")


class OneStep(nn.Module):
    """One step of ``StreamingCRNN`` (carried), written with what every runtime has: a discrete Fourier transform as two matrix products.

    The even bins of a windowed frame are a transform of the sum of its halves, the odd ones of their difference, which halves
    the products (decimation in frequency: Gentleman and Sande 1966).
    """

    def __init__(self, network: StreamingCRNN):
        super().__init__()
        if not network.carried:
            raise ValueError("only the carried state is exported: windows would be computed anew in every call")
        self.network = copy.deepcopy(network)
        for layer in self.network.recurrent:
            layer.batch_first = False  # of one step of one stream it makes no difference but transpositions
        # Hops and windows are whole numbers of pieces, which are gathered faster than samples.
        self.piece = math.gcd(HOP, WINDOW)
        starts = torch.arange(network.step_frames)[:, None] * (HOP // self.piece)
        self.register_buffer("pieces", starts + torch.arange(WINDOW // self.piece))
        turns = torch.outer(torch.arange(WINDOW // 2).double(), torch.arange(WINDOW // 2 + 1).double()) / WINDOW
        waves = torch.stack([torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)], 2).float()
        bands = network.mel_bands.repeat_interleave(2, 0).unflatten(0, (-1, 2))  # cosines and sines count alike
        self.register_buffer("even_waves", waves[:, ::2].flatten(1))
        self.register_buffer("odd_waves", waves[:, 1::2].flatten(1))
        self.register_buffer("bands", torch.cat([bands[::2].flatten(0, 1), bands[1::2].flatten(0, 1)]))

    def start(self) -> dict[str, Tensor]:
        """The state of a stream that has heard nothing."""
        network = self.network
        frames = network.silence[:, :, :1].expand(-1, -1, network.kernel_frames - network.step_frames)
        state = (torch.zeros(1, WINDOW - HOP), frames, network.silent_recurrent, network.silent_past)
        return dict(zip(STATES, state, strict=True))

    def forward(
        self, chunk: Tensor, samples: Tensor, frames: Tensor, recurrent: Tensor, past: Tensor
    ) -> tuple[Tensor, ...]:
        """chunk (1, step_samples) and the state to probability (1,) and the next state."""
        network = self.network
        heard = torch.cat([samples, chunk], 1)
        windowed = heard.reshape(-1, self.piece)[self.pieces].reshape(-1, WINDOW) * network.hann
        first, second = windowed[:, : WINDOW // 2], windowed[:, WINDOW // 2 :]
        parts = torch.cat([(first + second) @ self.even_waves, (first - second) @ self.odd_waves], 1)
        log_mel = ((parts * parts) @ self.bands).clamp(network.lowest, network.highest).log()
        frames = torch.cat([frames, (log_mel.T.unsqueeze(0) - network.mean) / network.std], 2)
        x = network.positions(frames)
        states = []
        for layer, before in zip(network.recurrent, recurrent.split(1), strict=True):
            x, after = layer(x, before)
            states.append(after)
        window = torch.cat([past, network.with_energy(x[0]).unsqueeze(0)], 1)
        if network.last_only:
            context = window[:, -1, :-1]
        else:
            context = (window[:, :, :-1] * torch.softmax(window[:, :, -1:], 1)).sum(1)
        probability = torch.softmax(network.classifier(context), 1)[:, 1]
        recurrent = torch.cat(states) if len(states) > 1 else states[0]
        return probability, heard[:, -(WINDOW - HOP) :], frames[:, :, network.step_frames :], recurrent, window[:, 1:]


def save_onnx_stream(model: StreamingModel, path: str | Path) -> None:
    """Write the streaming model as one ONNX file, with its keyword, threshold and steps as metadata."""
    one = OneStep(model.network).eval()
    state = one.start()
    chunk = torch.zeros(1, model.step_samples)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the other exporter takes recurrent layers apart, step by step
        torch.onnx.export(
            one,
            (chunk, *state.values()),
            buffer,
            input_names=["chunk", *STATES],
            output_names=["probability", *(f"next_{name}" for name in STATES)],
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    about = {
        name: getattr(model, name) for name in ("keyword", "threshold", "smoothing", "step_samples", "first_sample")
    }
    about["start"] = {name: tensor.flatten().tolist() for name, tensor in state.items() if name != "frames"}
    about["silence"] = float(model.network.silence[0, 0, 0])
    about["early_steps"] = -model.network.first_step
    onnx.helper.set_model_props(graph, {"kws": json.dumps(about)})
    with replacing(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())


class OnnxStream:
    """A saved ONNX stream: ``stream(chunk)`` takes samples (any number,) float32 or int16, gives the probabilities of the new steps.

    One object is one stream: a copy would share its state. Attributes: keyword, threshold, smoothing, step_samples, first_sample, as of
    ``kws.streaming.network.StreamingModel``.
    """

    def __init__(self, path: str | Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            about = json.loads(self.session.get_modelmeta().custom_metadata_map["kws"])
            self._early = about["early_steps"]
        except Exception as error:  # ONNX Runtime's errors share no other class
            raise CheckpointError(
                f"{path}: not an ONNX stream of this version of the package, or damaged ({error})"
            ) from error
        self.keyword, self.threshold, self.smoothing = about["keyword"], about["threshold"], about["smoothing"]
        self.step_samples, self.first_sample = about["step_samples"], about["first_sample"]
        shapes = {i.name: i.shape for i in self.session.get_inputs()}
        about["start"]["frames"] = np.full(shapes["frames"], about["silence"])
        self._start = {n: np.array(about["start"][n], np.float32).reshape(shapes[n]) for n in STATES if n in shapes}
        # What a call reads and writes lies in fixed places, which saves much of what a call costs: two states take turns.
        self._chunk, self._probability = np.zeros((1, self.step_samples), np.float32), np.zeros(1, np.float32)
        self._states = [{name: value.copy() for name, value in self._start.items()} for _ in range(2)]
        self._bindings = [self._bound(before, after) for before, after in (self._states, self._states[::-1])]
        self.reset()

    def _bound(self, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> onnxruntime.IOBinding:
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
        """Keyword probabilities (steps,) float32. Refuses NaN and other shapes, the stream going on as if they had not been there."""
        chunk = np.asarray(chunk)
        if chunk.ndim != 1 or chunk.dtype not in (np.int16, np.float32, np.float64):
            raise ValueError(
                f"a chunk has shape (samples,) and holds int16 or float samples; got {chunk.dtype}, shape {chunk.shape}"
            )
        chunk = chunk / np.float32(32768) if chunk.dtype == np.int16 else chunk.astype(np.float32)
        loudest = np.abs(chunk).max(initial=0)  # NaN if one sample is
        if not loudest < np.inf:
            raise ValueError("the chunk holds NaN or infinite samples; the stream goes on without it")
        if loudest > LOUDEST:
            chunk = chunk.clip(-LOUDEST, LOUDEST)
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
