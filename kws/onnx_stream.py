"""The streaming model as ONNX: one step a call, the state going in and out, the front end inside.

The graph takes the samples of one step and gives the keyword probability there; ``OnnxStream`` cuts a stream of chunks of any length
into steps and keeps the state, computing with NumPy and ONNX Runtime. The names of the states and their shapes are the graph's own inputs.
"""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from kws.checkpoint import CheckpointError
from kws.export import OPSET
from kws.features import HOP, WINDOW
from kws.files import replacing
from kws.streaming import LOUDEST, StreamingCRNN, StreamingModel

STATES = ("samples", "frames", "recurrent", "past", "step")


class OneStep(nn.Module):
    """One step of ``StreamingCRNN`` (carried), written with what every runtime has: a discrete Fourier transform as two matrix products.

    The cosines of a frame see only its even part and the sines its odd part, which halves the products.
    """

    def __init__(self, network: StreamingCRNN):
        super().__init__()
        if not network.carried:
            raise ValueError("only the carried state is exported: windows would be computed anew in every call")
        self.network = network
        time, bins = torch.arange(1, WINDOW // 2 + 1), torch.arange(WINDOW // 2 + 1)
        angle = 2 * torch.pi * time[:, None].double() * bins / WINDOW
        window = network.hann.double()[1 : WINDOW // 2 + 1, None]
        cosines = angle.cos() * window
        cosines[-1] /= 2  # the middle sample is its own mirror image, and would count twice
        self.register_buffer("cosines", cosines.float())
        self.register_buffer("sines", (angle.sin() * window).float())
        # The periodic Hann window is 0 at its first sample and symmetric about the middle of the others.
        starts = torch.arange(network.step_frames)[:, None] * HOP
        self.register_buffer("forward_places", starts + time)
        self.register_buffer("backward_places", starts + WINDOW - time)
        self.register_buffer("places", torch.arange(network.window))

    def start(self) -> dict[str, Tensor]:
        """The state of a stream that has heard nothing."""
        network = self.network
        frames = network.silence[:, :, :1].expand(-1, -1, network.kernel_frames - network.step_frames)
        state = (torch.zeros(1, WINDOW - HOP), frames, network.silent_recurrent, network.silent_past)
        return dict(zip(STATES, (*state, torch.tensor([network.first_step])), strict=True))

    def forward(
        self, chunk: Tensor, samples: Tensor, frames: Tensor, recurrent: Tensor, past: Tensor, step: Tensor
    ) -> tuple[Tensor, ...]:
        """chunk (1, step_samples) and the state to probability (1,), which is 0 for a step before the first, and the next state."""
        network = self.network
        heard = torch.cat([samples, chunk], 1)
        ahead, back = heard[0, self.forward_places], heard[0, self.backward_places]  # (frames, 200)
        power = ((ahead + back) @ self.cosines).square() + ((ahead - back) @ self.sines).square()
        log_mel = (power @ network.mel_bands).clamp(network.lowest, network.highest).log()
        frames = torch.cat([frames, (log_mel.T.unsqueeze(0) - network.mean) / network.std], 2)
        x = network.positions(frames)
        begun = (step >= 0).to(x.dtype)
        states = []
        for i, layer in enumerate(network.recurrent):
            x, after = layer(x, recurrent[i : i + 1])
            states.append(after)
        window = torch.cat([past, x], 1)
        if network.last_only:
            context = window[:, -1]
        else:
            unheard = (self.places + step < network.window - 1).to(x.dtype) * 1e9
            weights = torch.softmax(network.energy(window)[:, :, 0] - unheard, 1)
            context = (weights.unsqueeze(2) * window).sum(1)
        probability = torch.softmax(network.classifier(context), 1)[:, 1] * begun
        return (
            probability,
            heard[:, -(WINDOW - HOP) :],
            frames[:, :, network.step_frames :],
            torch.cat(states) * begun,
            window[:, 1:] * begun,
            step + 1,
        )


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
    onnx.helper.set_model_props(graph, {"kws": json.dumps(about)})
    with replacing(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())


class OnnxStream:
    """A saved ONNX stream: ``stream(chunk)`` takes samples (any number,) float32 or int16, gives the probabilities of the new steps.

    Attributes: keyword, threshold, smoothing, step_samples, first_sample, as of ``kws.streaming.StreamingModel``.
    """

    def __init__(self, path: str | Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            about = json.loads(self.session.get_modelmeta().custom_metadata_map["kws"])
        except Exception as error:  # ONNX Runtime's errors share no other class
            raise CheckpointError(f"{path}: not an ONNX stream of this package, or damaged ({error})") from error
        self.keyword, self.threshold, self.smoothing = about["keyword"], about["threshold"], about["smoothing"]
        self.step_samples, self.first_sample = about["step_samples"], about["first_sample"]
        shapes = {i.name: (i.shape, np.int64 if "int64" in i.type else np.float32) for i in self.session.get_inputs()}
        about["start"]["frames"] = np.full(shapes["frames"][0], about["silence"])
        self._start = {
            n: np.array(about["start"][n], shapes[n][1]).reshape(shapes[n][0]) for n in STATES if n in shapes
        }
        self.outputs = ["probability", *(f"next_{name}" for name in self._start)]
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self.state = dict(self._start)
        # A step ends where the model's steps do: the first call hears silence first.
        self.pending = np.zeros(self.step_samples - self.first_sample % self.step_samples, np.float32)
        self.skipped = -int(self._start["step"].item()) if "step" in self._start else 0

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        """Keyword probabilities (steps,) float32. Refuses NaN and other shapes, the stream going on as if they had not been there."""
        chunk = np.asarray(chunk)
        if chunk.ndim != 1 or chunk.dtype not in (np.int16, np.float32, np.float64):
            raise ValueError(
                f"a chunk has shape (samples,) and holds int16 or float samples; got {chunk.dtype}, shape {chunk.shape}"
            )
        chunk = chunk.astype(np.float32) / (32768 if chunk.dtype == np.int16 else 1)
        if not np.isfinite(chunk).all():
            raise ValueError("the chunk holds NaN or infinite samples; the stream goes on without it")
        heard = np.concatenate([self.pending, chunk.clip(-LOUDEST, LOUDEST)])
        steps = len(heard) // self.step_samples
        found = np.empty(steps, np.float32)
        for i in range(steps):
            one = heard[None, i * self.step_samples : (i + 1) * self.step_samples]
            probability, *after = self.session.run(self.outputs, {"chunk": one, **self.state})
            self.state = dict(zip(self.state, after, strict=True))
            found[i] = probability[0]
        self.pending = heard[steps * self.step_samples :]
        early = min(self.skipped, steps)
        self.skipped -= early
        return found[early:]
