"""Generators as a user would bring them; all but the first few with a mistake."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dwf_steps.config.generators.custom import CustomConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.samples import Samples


class Axes(Generator[CustomConfig]):
    """A Gaussian along every coordinate; ``kwargs`` make its mistakes."""

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:  # noqa: ARG002
        self.std = training.points.std(axis=0, ddof=1)
        losses = pd.DataFrame({"step": [1], "train": [0.5], "validation": [np.nan]})
        wrong: dict[str, Any] = {
            "fails": lambda: self.config.kwargs["absent"],
            "nothing": lambda: None,
            "no rows": lambda: losses[:0],
            "text": lambda: losses.assign(train="low"),
            "a column less": lambda: losses[["step", "train"]],
        }
        found: pd.DataFrame = wrong.get(self.config.kwargs.get("fit", ""), lambda: losses)()
        return found

    def state(self) -> dict[str, np.ndarray]:
        wrong: dict[str, Any] = {
            "fails": lambda: 1 / 0,
            "a list": lambda: [self.std],
            "objects": lambda: {"std": np.array([None])},
            "a number": lambda: {"std": 1.0},
        }
        found: dict[str, np.ndarray] = wrong.get(
            self.config.kwargs.get("state", ""), lambda: {"std": self.std}
        )()
        return found

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.std = state["std"]
        if "load_state" in self.config.kwargs:
            raise ValueError("no\nsuch state")

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        noise = self.draws().standard_normal((self.config.sampling.samples, len(self.std)))
        samples = training.samples_at(self.config.kwargs.get("scale", 1.0) * self.std * noise)
        wrong: dict[str, Any] = {
            "fails": lambda: training.samples_at(noise[:, :1]),
            "needs data": lambda: tools.data,
            "latents": lambda: samples.latents,
            "one less": lambda: training.samples_at((self.std * noise)[1:]),
            "a row": lambda: training.samples_at((self.std * noise)[0]),
            "texts": lambda: replace(samples, latents=samples.latents.astype(str)),
            "a list": lambda: replace(samples, coefficients=samples.coefficients.tolist()),
            "other networks": lambda: replace(samples, coefficients=samples.coefficients[:, 1:]),
            "offsets": lambda: replace(samples, offsets=np.zeros((len(samples), 1), np.float32)),
        }
        found: Samples = wrong.get(self.config.kwargs.get("sample", ""), lambda: samples)()
        return found


class WithoutModel(Generator[CustomConfig]):
    """Training networks in turn; the last sample is not finite."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:  # noqa: ARG002
        points = training.points[np.arange(self.config.sampling.samples) % training.shape[0]].copy()
        points[-1, 0] = np.nan
        return training.samples_at(points)


class OwnFormat(WithoutModel):
    """Keeps what it has learned in a text."""

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:  # noqa: ARG002
        self.layout = [entry.name for entry in training.layout.entries] + training.trajectories
        return pd.DataFrame({"step": [1], "train": [0.0], "validation": [0.0]})

    def save(self, path: Path) -> None:
        if "save" not in self.config.kwargs:
            path.write_text(" ".join(self.layout), encoding="utf-8")

    def load(self, path: Path, tools: Tools) -> None:  # noqa: ARG002
        self.layout = path.read_text(encoding="utf-8").split()


class Writes(WithoutModel):
    """Writes a file, wherever ``kwargs`` say, or into its folder."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        path = Path(self.config.kwargs.get("path", tools.folder / "noted.txt"))
        path.write_text(f"{training.shape}", encoding="utf-8")
        return super().sample(training, tools)


class Known(WithoutModel):
    """Samples the networks with the highest accuracy."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:  # noqa: ARG002
        accuracies = [facts.validation_accuracy or 0.0 for facts in training.facts]
        best = np.argsort(accuracies)[::-1][: self.config.sampling.samples]
        return training.samples_at(training.points[best])


class Unmade(WithoutModel):
    def __init__(self, config: CustomConfig) -> None:
        super().__init__(config)
        raise KeyError(config.kwargs["scale"])


class OnlyFit(WithoutModel):
    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        raise NotImplementedError


class Unfinished(Generator[CustomConfig]):
    pass


class NoGenerator:
    pass


def function(config: CustomConfig) -> Generator[Any]:
    return Axes(config)
