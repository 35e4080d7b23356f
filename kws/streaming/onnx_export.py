"""The streaming model as ONNX: one step a call, the state going in and out, the front end inside.

The matrices of the Fourier transform and of the mel bands are not stored, but made by operators of the graph when it is loaded.
"""

import copy
import io
import json
import math
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from kws.data.storage import replacing
from kws.streaming.model import StreamingModel
from kws.streaming.network import StreamingCRNN
from kws.streaming.onnx_stream import STATES

OPSET = 17  # of the ONNX operators
# Values of a matrix, and of a row: for fewer, scales and operators cost what int8 saves.
LEAST_INT8, LEAST_ROW = 256, 8


class OneStep(nn.Module):
    """One step of ``StreamingCRNN`` (carried), with what every runtime has: the Fourier transform as matrix products.

    The even bins of a windowed frame are a transform of the sum of its halves, the odd ones of their difference. That
    halves the products (decimation in frequency: Gentleman and Sande 1966).
    Raises ``ValueError`` for a network that is not carried.
    """

    def __init__(self, network: StreamingCRNN):
        super().__init__()
        if not network.carried:
            raise ValueError("only the carried state is exported: windows would be computed anew in every call")
        self.network = copy.deepcopy(network)
        for layer in self.network.recurrent:
            layer.batch_first = False  # of one step of one stream it makes no difference but transpositions
        # Hops and frames are whole numbers of pieces, which are gathered faster than samples.
        self.reach, self.points = network.frame_samples - network.unheard, len(network.hann)
        self.piece = math.gcd(network.hop, network.frame_samples, self.reach)
        starts = torch.arange(network.step_frames)[:, None] * (network.hop // self.piece)
        heard = torch.arange(network.unheard // self.piece, network.frame_samples // self.piece)
        self.register_buffer("pieces", starts + heard)
        turns = torch.outer(torch.arange(self.points // 2).double(), torch.arange(self.points // 2 + 1).double())
        turns = turns / self.points
        # (half a window, bins, cosine and sine)
        waves = torch.stack([torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)], 2).float()
        bands = network.mel_bands.repeat_interleave(2, 0).unflatten(0, (-1, 2))  # cosines and sines count alike
        self.register_buffer("even_waves", waves[:, ::2].flatten(1))
        self.register_buffer("odd_waves", waves[:, 1::2].flatten(1))
        self.register_buffer("bands", torch.cat([bands[::2].flatten(0, 1), bands[1::2].flatten(0, 1)]))

    def start(self) -> dict[str, Tensor]:
        """The state of a stream that has heard nothing."""
        network = self.network
        frames = network.silence[:, :, :1].expand(-1, -1, network.kernel_frames - network.step_frames)
        state = (
            torch.zeros(1, network.frame_samples - network.hop),
            frames,
            network.silent_recurrent,
            network.silent_past,
        )
        return dict(zip(STATES, state, strict=True))

    def forward(
        self, chunk: Tensor, samples: Tensor, frames: Tensor, recurrent: Tensor, past: Tensor
    ) -> tuple[Tensor, ...]:
        """A chunk (1, step_samples) and the state to probability (1,) and the next state."""
        # Front end: samples to normalized log-mel.
        network = self.network
        heard = torch.cat([samples, chunk], 1) if samples.shape[1] else chunk  # (1, samples + step_samples)
        sound = heard.reshape(-1, self.piece)[self.pieces].reshape(-1, self.reach)  # (frames, what each hears)
        if network.low_pass is not None:
            sound = nn.functional.conv1d(sound.unsqueeze(1), network.low_pass, stride=network.decimation).squeeze(1)
        windowed = sound * network.hann  # (frames, points)
        first, second = windowed[:, : self.points // 2], windowed[:, self.points // 2 :]
        parts = torch.cat([(first + second) @ self.even_waves, (first - second) @ self.odd_waves], 1)
        log_mel = ((parts * parts) @ self.bands).clamp(network.lowest, network.highest).log()
        # Convolution, recurrent layers, attention over the last second.
        frames = torch.cat([frames, (log_mel.T.unsqueeze(0) - network.mean) / network.std], 2)
        x = network.positions(frames)  # (1, 1, width)
        states = []
        for layer, before in zip(network.recurrent, recurrent.split(1), strict=True):
            x, after = layer(x, before)
            states.append(after)
        window = torch.cat([past, network.with_energy(x[0]).unsqueeze(0)], 1)  # (1, window, hidden + 1)
        context = (window[:, :, :-1] * torch.softmax(window[:, :, -1:], 1)).sum(1)  # (1, hidden)
        probability = torch.softmax(network.classifier(context), 1)[:, 1]
        recurrent = torch.cat(states) if len(states) > 1 else states[0]
        kept = heard[:, heard.shape[1] - (network.frame_samples - network.hop) :]
        return probability, kept, frames[:, :, network.step_frames :], recurrent, window[:, 1:]


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
    make_matrices(graph.graph, one.points)
    store_int8(graph.graph)
    shorten_names(graph.graph)
    about = {
        name: getattr(model, name) for name in ("keyword", "threshold", "smoothing", "step_samples", "first_sample")
    }
    about["start"] = {name: _repeated(tensor) for name, tensor in state.items() if name != "frames"}
    about["silence"] = float(model.network.silence[0, 0, 0])
    about["early_steps"] = -model.network.first_step
    onnx.helper.set_model_props(graph, {"kws": json.dumps(about)})
    with replacing(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())


def _repeated(state: Tensor) -> list[float]:
    """What a state (..., features) that a stream begins with repeats until it is full: one number, or a row."""
    row = state.flatten(0, -2)[0]
    return (row[:1] if bool((row == row[:1]).all()) else row).tolist()


def make_matrices(graph: onnx.GraphProto, points: int) -> None:
    """Replace the dense matrices of ``OneStep`` by operators that make the very same numbers, which runtimes do once, as they load it."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []

    def constant(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"made/{name}"))
        return f"made/{name}"

    def add(kind: str, *inputs: str, to: str = "", **attributes) -> str:
        output = to or f"made/{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    # Of 400 points cos(2 pi n k / 400) is one of 400 numbers, and a sine is a cosine of a quarter of a turn before.
    turn = torch.cos(2 * torch.pi * torch.arange(points).double() / points).float().numpy()
    table, around, quarter = (
        constant("turn", turn),
        constant("window", np.array(points)),
        constant("quarter", np.array(3 * points // 4)),
    )
    zero, one, two = (constant(str(i), np.array(i)) for i in range(3))
    half, bins = constant("half", np.array(points // 2)), constant("bins", np.array(points // 2 + 1))
    last, rows = constant("last", np.array([-1])), constant("rows", np.array([points // 2, -1]))
    samples = add("Unsqueeze", add("Range", zero, half, one), last)
    for name, first in (("even_waves", zero), ("odd_waves", one)):
        place = add("Mod", add("Mul", samples, add("Range", first, bins, two)), around)
        cosine = add("Unsqueeze", add("Gather", table, place), last)
        sine = add("Unsqueeze", add("Gather", table, add("Mod", add("Add", place, quarter), around)), last)
        add("Reshape", add("Concat", cosine, sine, axis=2), rows, to=name)
    # A bin is in two bands at most; its cosine and its sine count alike.
    bands = stored["bands"]
    filled = np.flatnonzero(bands[::2])
    shape, places = constant("shape", np.array([bands.size // 2])), constant("places", filled.astype(np.int32))
    empty = add("ConstantOfShape", shape, value=helper.make_tensor("", onnx.TensorProto.FLOAT, [1], [0]))
    flat = add("ScatterElements", empty, places, constant("values", bands[::2].flatten()[filled]), axis=0)
    once = add("Reshape", flat, constant("each", np.array([-1, 1, bands.shape[1]])))
    twice = add("Concat", once, once, axis=1)
    add("Reshape", twice, constant("all", np.array(bands.shape)), to="bands")
    kept = [tensor for tensor in graph.initializer if tensor.name not in ("even_waves", "odd_waves", "bands")]
    _replace(graph, kept, nodes)


def store_int8(graph: onnx.GraphProto) -> None:
    """Store matrices whose rows are whole numbers from -127 to 127 times a scale as these: they came from an int8 checkpoint.

    Operators multiply them as runtimes load the graph. A matrix that is not so stays in float32.
    """
    kept, operators = [], []
    for tensor in graph.initializer:
        found = _rows_of_int8(numpy_helper.to_array(tensor))
        if found is None:
            kept.append(tensor)
            continue
        name = tensor.name
        kept += [numpy_helper.from_array(part, f"{name}/{i}") for i, part in enumerate(found)]
        operators.append(helper.make_node("Cast", [f"{name}/0"], [f"{name}/float"], to=onnx.TensorProto.FLOAT))
        operators.append(helper.make_node("Mul", [f"{name}/float", f"{name}/1"], [name]))
    _replace(graph, kept, operators)


def _replace(graph: onnx.GraphProto, stored: list[onnx.TensorProto], before: list[onnx.NodeProto]) -> None:
    """Give a graph other stored tensors, and operators before its own."""
    operators = [*before, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend(operators)


def _rows_of_int8(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """int8 and the scale of each row, along whichever axis has such rows."""
    if matrix.dtype != np.float32 or matrix.ndim < 2 or matrix.size < LEAST_INT8:
        return None
    for axis in (i for i, rows in enumerate(matrix.shape) if matrix.size >= LEAST_ROW * rows):
        others = tuple(i for i in range(matrix.ndim) if i != axis)
        scale = np.abs(matrix).max(others, keepdims=True) / np.float32(127)
        whole = np.round(matrix / np.maximum(scale, np.finfo(np.float32).tiny))
        if np.abs(whole * scale - matrix).max() <= 1e-6 * np.abs(matrix).max():
            return whole.astype(np.int8), scale
    return None


def shorten_names(graph: onnx.GraphProto) -> None:
    """Number what lies between inputs and outputs: the exporter's names were a quarter of a small file."""
    kept = {value.name for value in [*graph.input, *graph.output]} | {""}
    inside = dict.fromkeys(name for node in graph.node for name in [*node.input, *node.output] if name not in kept)
    short = {name: f"{number:x}" for number, name in enumerate(inside)} | {name: name for name in kept}
    for node in graph.node:
        names = [short[name] for name in node.input], [short[name] for name in node.output]
        del node.input[:], node.output[:]
        node.input.extend(names[0])
        node.output.extend(names[1])
        node.name = ""
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
