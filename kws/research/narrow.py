"""A trained network with fewer channels and units, for a student to begin as: what is left out is told from what is kept.

A layer keeps those of its outputs from which the others follow best, and what read the others reads their share of the kept.
The choice is QR with column pivoting (Businger and Golub 1965), the shares are least squares, as in He et al. 2017 (arXiv:1707.06168).
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from kws.model import CRNN, CRNNConfig
from kws.research.stepwise import stepwise
from kws.targets import tap


class Share:
    """Which outputs of a layer stay, and what a reader of all of them does with those.

    ``outputs``: (any, units), examples of them; ``read``: (units,), how strongly each is read.
    """

    def __init__(self, outputs: Tensor, read: Tensor, keep: int):
        mean = outputs.mean(0)
        centred = (outputs - mean).double()
        left, kept = centred * read.double(), []
        # Of what those kept do not tell yet, the most.
        for _ in range(keep):
            kept.append(int(left.square().sum(0).index_fill(0, torch.tensor(kept, dtype=torch.long), -1).argmax()))
            one = left[:, kept[-1]] / left[:, kept[-1]].norm().clamp_min(1e-12)
            left = left - one[:, None] * (one @ left)
        self.kept = torch.tensor(sorted(kept))
        # outputs = mean + (kept outputs - their mean) @ shares
        shares = torch.linalg.lstsq(centred[:, self.kept], centred, driver="gelsd").solution.float()
        self.shares = shares.index_copy(1, self.kept, torch.eye(keep))  # (kept, units)
        self.rest = mean - mean[self.kept] @ self.shares  # (units,)

    def reader(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A matrix (..., units) as one of the kept units, and (...) what is to be added to its bias."""
        return weight @ self.shares.T, weight @ self.rest


@torch.no_grad()
def narrowed(model: CRNN, config: CRNNConfig, log_mel: Tensor) -> CRNN:
    """The network of ``config`` that does most nearly what ``model`` does at the steps of log-mels (batch, n_mels, frames).

    Raises ``ValueError`` where the two differ in more than the channels of convolutions and ``hidden``, and for separable
    convolutions and an attention of two layers.
    """
    if _but_widths(model.config) != _but_widths(config) or config.separable or config.attention != "linear":
        raise ValueError(f"a network of {model.config} cannot be narrowed to one of {config}")
    # What each layer says, and the matrices (any, outputs) that read it.
    places = [i for i, layer in enumerate(model.convolution) if isinstance(layer, nn.Conv2d)]
    convolutions, recurrent = [model.convolution[place] for place in places], list(model.recurrent)
    names = [f"convolution.{end - 1}" for end in [*places[1:], len(model.convolution)]]
    names += [f"recurrent.{i}" for i in range(config.layers)]
    with tap(model.eval(), names) as said:
        stepwise(model).whole(log_mel)
    outputs = [y.movedim(1, -1).flatten(0, -2) if y.dim() == 4 else y.flatten(0, 1) for y in map(said.get, names)]
    steps = recurrent[0].weight_ih_l0.unflatten(1, (-1, config.bands)).transpose(1, 2)  # (rows, bands, channels)
    readers = [[layer.weight.movedim(1, -1)] for layer in convolutions[1:]] + [[steps]]
    readers += [[layer.weight_hh_l0] for layer in recurrent]
    for of_layer, after in zip(readers[-config.layers :], recurrent[1:], strict=False):
        of_layer.append(after.weight_ih_l0)
    readers[-1] += [model.attention.energy.weight, model.classifier.weight]
    widths = [channels for channels, _, _ in config.convolutions] + [config.hidden] * config.layers
    shares = [
        Share(y.float(), torch.cat([weight.flatten(0, -2) for weight in read]).norm(dim=0), width)
        for y, read, width in zip(outputs, readers, widths, strict=True)
    ]
    # The same layers with what is kept.
    state = {}
    for i, (place, layer) in enumerate(zip(places, convolutions, strict=True)):
        weight, bias, kept = layer.weight, layer.bias, shares[i].kept
        if i:
            moved, more = shares[i - 1].reader(weight.movedim(1, -1))
            weight, bias = moved.movedim(-1, 1), bias + more.sum((1, 2))
        state |= {f"convolution.{place}.weight": weight[kept], f"convolution.{place}.bias": bias[kept]}
        if config.norm:
            norm = model.convolution[place + 1].state_dict()
            state |= {f"convolution.{place + 1}.{k}": v[kept] if v.dim() else v for k, v in norm.items()}
    for i, layer in enumerate(recurrent):
        before, own = shares[len(places) + i - 1], shares[len(places) + i]
        gates = torch.arange(layer.weight_hh_l0.shape[0] // model.config.hidden)
        rows = (own.kept + model.config.hidden * gates[:, None]).flatten()
        heard, more = before.reader(layer.weight_ih_l0 if i else steps)
        if not i:
            heard, more = heard.transpose(1, 2).flatten(1), more.sum(1)
        kept, again = own.reader(layer.weight_hh_l0)
        state |= {
            f"recurrent.{i}.weight_ih_l0": heard[rows],
            f"recurrent.{i}.bias_ih_l0": (layer.bias_ih_l0 + more)[rows],
            f"recurrent.{i}.weight_hh_l0": kept[rows],
            f"recurrent.{i}.bias_hh_l0": (layer.bias_hh_l0 + again)[rows],
        }
    for name, linear in (("attention.energy", model.attention.energy), ("classifier", model.classifier)):
        weight, more = shares[-1].reader(linear.weight)
        state |= {f"{name}.weight": weight, f"{name}.bias": linear.bias + more}
    narrow = CRNN(config)
    narrow.load_state_dict(state)
    return narrow.eval()


def _but_widths(config: CRNNConfig) -> CRNNConfig:
    deeper = tuple((1, kernel, stride) for _, kernel, stride in config.deeper)
    return replace(config, channels=1, deeper=deeper, hidden=1)
