"""How sure a count is: 95 % intervals of a rate of events and of a share."""

from collections.abc import Callable

import numpy as np
import torch


def poisson_interval(count: float, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a Poisson mean after ``count`` events, or a mean of counts (Garwood 1936, Biometrika 28)."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _solve(lambda mean: _poisson_below(count, mean) - (1 - tail), count + 1.0)
    return low, _solve(lambda mean: _poisson_below(count + 1, mean) - tail, 4.0 * count + 20.0)


def wilson_interval(count: float, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share after ``count`` of ``trials``, or a mean of counts (Wilson 1927, JASA 22)."""
    z = float(torch.special.ndtri(torch.tensor(0.5 + level / 2, dtype=torch.float64)))
    if trials == 0:
        return 0.0, 1.0
    share, spread = count / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _poisson_below(count: float, mean: float) -> float:
    """The probability of fewer than ``count`` events."""
    return float(
        torch.special.gammaincc(
            torch.tensor(float(count), dtype=torch.float64), torch.tensor(mean, dtype=torch.float64)
        )
    )


def _solve(falling: Callable[[float], float], high: float) -> float:
    """The root of a falling function between 0 and ``high``, by bisection."""
    low = 0.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
