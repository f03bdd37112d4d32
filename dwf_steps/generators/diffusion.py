"""The generator `diffusion`: denoising diffusion in the subspace."""

from functools import partial
from pathlib import Path

import pandas as pd
import torch

from dwf_steps.config.generators.diffusion import DiffusionConfig
from dwf_steps.flow.diffusion import NoisyPaths, denoise, kept_signal
from dwf_steps.flow.fields import VelocityField, build_velocity
from dwf_steps.flow.fitting import fit_network
from dwf_steps.flow.source import STANDARD
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.flow import FlowModel, left_out_networks
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import torch_generator


class Diffusion(Generator[DiffusionConfig]):
    """Fits a denoising network to the training networks' latents, and samples by denoising."""

    model: FlowModel

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        config = self.config
        by_unit, positions = config.denoiser.by_unit, config.denoiser.positions
        latents = Latents.of(training.basis, training.matrix, by_unit, positions=positions)
        left_out = left_out_networks(training.trajectories, config.training, self.key)
        paths = NoisyPaths(latents.points.to(tools.device), left_out, kept_signal(config.timesteps))
        build = partial(build_velocity, paths.dimension, config.denoiser, latents.network)
        fit = fit_network(build, paths, config.training, tools.device, tools.checkpoint)
        self.model = FlowModel.of(fit.velocity, latents, STANDARD)
        return fit.losses

    def save(self, path: Path) -> None:
        self.model.save(path, self.config.denoiser)

    def load(self, path: Path, tools: Tools) -> None:
        self.model = FlowModel.load(path, tools.device)

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        sampling, model = self.config.sampling, self.model
        draws = torch_generator("sample diffusion", sampling.seed)
        noise = torch.randn(sampling.samples, model.dimension, generator=draws) * sampling.temperature
        kept = kept_signal(self.config.timesteps)
        field = VelocityField(model.velocity)
        ends, evaluations = denoise(field, noise.to(tools.device), kept, sampling, draws)
        return training.samples_at(model.coordinates(ends.cpu().double()).numpy(), evaluations)
