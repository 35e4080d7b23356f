"""A recurrence with one gate, two thirds of a GRU: importing this file makes it known to ``CRNNConfig`` as "mgu".

Source: Zhou et al. 2016, "Minimal Gated Unit for Recurrent Neural Networks" (arXiv:1603.09420), equations 7 to 9.
"""

import torch
from torch import Tensor, nn

from kws.model import RECURRENT


class MinimalGated(nn.Module):
    """``layer(x)``: (batch, steps, width) to (batch, steps, hidden), each between -1 and 1, and the last step (batch, hidden)."""

    def __init__(self, width: int, hidden: int, batch_first: bool = True):
        super().__init__()
        self.input = nn.Linear(width, 2 * hidden)
        self.gate = nn.Linear(hidden, hidden, bias=False)
        self.candidate = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # What does not hang on the past is computed for all steps at once.
        gates, candidates = self.input(x).chunk(2, -1)  # (batch, steps, hidden) each
        state, states = x.new_zeros(len(x), self.gate.in_features), []
        for gate, candidate in zip(gates.unbind(1), candidates.unbind(1), strict=True):
            # The one gate says both what is forgotten and what is taken in.
            forget = torch.sigmoid(gate + self.gate(state))
            state = (1 - forget) * state + forget * torch.tanh(candidate + self.candidate(forget * state))
            states.append(state)
        return torch.stack(states, 1), state


RECURRENT["mgu"] = MinimalGated
