"""The generator `flow`: flow matching in the subspace, or on whole networks."""

from functools import partial
from pathlib import Path

import pandas as pd
import torch

from dwf_steps.config.generators.flow import INITIALISATION, FlowConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.flow.condition import KnownZoos, known_of
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.source import Source
from dwf_steps.flow.training import fit_velocity
from dwf_steps.flow.velocity import ConditionEmbedding
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.flow import FlowModel, integrate_flow, left_out_networks, source_of
from dwf_steps.generators.guidance import GuidedField, decoder_of
from dwf_steps.generators.initialisation import new_starts, zoo_starts
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.layers import first_columns
from dwf_steps.generators.samples import Samples
from dwf_steps.storage.padding import present_by_zoo


class Flow(Generator[FlowConfig]):
    """Fits a velocity field to the training networks' latents, and integrates it from draws of the source."""

    model: FlowModel

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        basis, matrix = training.basis, training.matrix
        by_unit, positions = self.config.velocity.by_unit, self.config.velocity.positions
        canonical = self.config.geometry != "euclidean"
        columns = None
        if self.config.layers == "first":
            columns = first_columns(matrix.layout, matrix.architecture)
        left_out = left_out_networks(training.trajectories, self.config.training, self.key)
        known, condition = None, None
        if asked := self.config.condition:
            known, condition = known_of(matrix, asked, left_out, self.key)
        zoos, present = None, None
        if isinstance(known, KnownZoos) and condition is not None:
            zoos = condition[:, 0].long().numpy()
            present = present_by_zoo(matrix, known.zoos) if by_unit or columns is not None else None
        latents = Latents.of(basis, matrix, by_unit, canonical, columns, positions, zoos, present)
        if self.config.source == INITIALISATION:
            source: Source = zoo_starts(self.config, training, latents)
        else:
            source = source_of(self.config, basis, matrix, latents)
        flow = fit_velocity(
            *(latents.points, self.config, tools.device, tools.checkpoint, latents.network, source),
            condition=condition,
            left_out=left_out,
            embedding=ConditionEmbedding if known is None else known.embedding,
            present=None
            if present is None
            else torch.from_numpy(present if columns is None else present[:, columns]),
        )
        self.model = FlowModel.of(flow.velocity, latents, source, known)
        return flow.losses

    def save(self, path: Path) -> None:
        self.model.save(path, self.config.velocity)

    def load(self, path: Path, tools: Tools) -> None:
        self.model = FlowModel.load(path, tools.device)

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        basis, device, steer, source = training.basis, tools.device, None, None
        if self.config.source == INITIALISATION:
            source = new_starts(self.config, training, self.model)
        if guidance := self.config.sampling.guidance:
            matrix = training.matrix
            steer = partial(
                GuidedField,
                network=NetworkSpec.of(matrix.layout, matrix.architecture),
                decode=decoder_of(self.model, basis, matrix, device),
                train=Split.load(tools.data, "train"),
                guidance=guidance,
                seed=self.config.sampling.seed,
            )
        return integrate_flow(self.model, self.config, basis, device, steer, source)
