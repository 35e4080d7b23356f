"""Two stages: a small model listens all the time, a larger one judges only what the small one takes for the keyword.

That is how phones listen (Hey Siri Team 2017, Apple Machine Learning Journal 1(6)). It costs little more than the small
model, and seldom has a false alarm that the larger one has not.
"""

import copy
import math
from typing import Final

import torch
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE
from kws.streaming.model import LOUDEST, StreamingModel, checked

BACK = 1.0  # seconds before the small model wakes it from which the larger one hears: what its attention pools
AWAKE = 0.6  # seconds for which it goes on hearing after the small one was last sure


class TwoStage(nn.Module):
    """A streaming model made of two, on the CPU. It offers what a ``StreamingModel`` does; ``save_stream`` writes it.

    Raises ``ValueError`` for models of different keywords, and for another ``wake``.

    Args:
        first: listens always.
        second: hears the last ``BACK`` seconds once it is woken; the threshold is its. Both are copied.
        wake: in (0, 1). The second is woken by a probability of at least this of the first. It falls asleep
            ``AWAKE`` seconds after the last one.

    Attributes:
        smoothing: 1, for the second stage's is taken inside: it needs what that says of the time before it was woken.
        steps: since the reset.
        second_steps: how many of them the second stage has computed.
    """

    keyword: Final[str]
    threshold: Final[float]
    smoothing: Final[int]
    sample_rate: Final[int]
    step_samples: Final[int]
    first_sample: Final[int]
    wake: Final[float]
    mean_of: Final[int]
    longest_awake: Final[int]
    back: Final[int]
    loudest: Final[float]

    def __init__(self, first: StreamingModel, second: StreamingModel, wake: float = 0.5):
        super().__init__()
        if first.keyword != second.keyword:
            raise ValueError(f"the first stage hears {first.keyword!r}, the second {second.keyword!r}")
        if not 0 < wake < 1:
            raise ValueError(f"wake is {wake}; it must lie between 0 and 1")
        self.first, self.second, self.wake = copy.deepcopy(first), copy.deepcopy(second), wake
        self.keyword, self.threshold = second.keyword, second.threshold
        self.smoothing, self.mean_of = 1, second.smoothing
        self.sample_rate, self.loudest = SAMPLE_RATE, LOUDEST
        self.step_samples = second.step_samples
        # The stream goes in steps from its beginning. The second's first probability comes at the end of the step
        # that it falls into.
        self.first_sample = math.ceil(second.first_sample / second.step_samples) * second.step_samples
        self.longest_awake = math.ceil(AWAKE * SAMPLE_RATE / second.step_samples)
        self.back = math.ceil(BACK * SAMPLE_RATE / second.step_samples) * second.step_samples
        self.reset()

    @torch.jit.export
    def reset(self) -> None:
        """Forget what was heard."""
        self.first.reset()
        self.second.reset()
        self.heard, self.said = torch.zeros(0), torch.zeros(0)
        self.judged, self.steps, self.first_steps, self.second_steps, self.awake = 0, 0, 0, 0, 0

    def forward(self, chunk: Tensor) -> Tensor:
        """Probability (steps,) of each new step, possibly none: the second stage's, or 0 while it sleeps.

        chunk: as of ``StreamingModel``, refused likewise.
        """
        # The first stage hears what is new, in whole steps; of what was heard, ``judged`` samples were judged before.
        heard = torch.cat([self.heard, checked(chunk, self.loudest)])
        steps = (heard.shape[0] - self.judged) // self.step_samples
        end = self.judged + steps * self.step_samples
        woken = self.woken(heard[self.judged : end], steps)
        # The second stage hears the steps for which it is awake.
        found = torch.zeros(steps)
        for i in range(steps):
            if woken[i] or self.awake > 0:
                now = self.judged + (i + 1) * self.step_samples
                found[i] = self.second_stage(heard[max(now - self.back, 0) : now], woken[i])
        # What it may need later is kept. Before its first probability there is none.
        kept = max(end - self.back, 0)
        self.heard, self.judged = heard[kept:].clone(), end - kept
        before = min(max(self.first_sample // self.step_samples - 1 - self.steps, 0), steps)
        self.steps += steps
        return found[before:]

    def woken(self, samples: Tensor, steps: int) -> list[bool]:
        """Whether the first stage is sure in each of so many new steps of samples (steps * step_samples,)."""
        woken = [False] * steps
        sure = self.first(samples)
        places: list[int] = torch.nonzero(sure >= self.wake).flatten().tolist()
        for i in places:
            at = self.first.first_sample + (self.first_steps + i) * self.first.step_samples
            woken[(at - 1) // self.step_samples - self.steps] = True
        self.first_steps += sure.shape[0]
        return woken

    def second_stage(self, recent: Tensor, woken: bool) -> float:
        """Probability of the step that ends ``recent``, the last samples (any,) of up to ``BACK`` seconds.

        It is 0 when the second stage falls asleep.
        """
        slept = self.awake == 0
        self.awake = self.longest_awake if woken else self.awake - 1
        if self.awake == 0:
            return 0.0
        if slept:
            self.second.reset()
            self.said = torch.zeros(0)
        said = self.second(recent if slept else recent[-self.step_samples :])
        self.second_steps += said.shape[0]
        self.said = torch.cat([self.said, said])[-self.mean_of :]
        return float(self.said.mean()) if self.said.shape[0] > 0 else 0.0
