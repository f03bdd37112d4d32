"""The generator `snapshots`: checkpoints of a single training run."""

import numpy as np
import torch

from dwf_steps.config.generators.snapshots import SnapshotsConfig
from dwf_steps.generators.network_maker import MadeNetworks, NetworkMaker, Request
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.training import batches_per_epoch, train_networks


class Snapshots(NetworkMaker[SnapshotsConfig]):
    """Trains the network of the first plan, and returns its checkpoints."""

    def make(self, request: Request) -> MadeNetworks:
        training = request.whole_training
        epoch = batches_per_epoch(request.architecture, request.dataset, training)
        times = self.config.skip_epochs + self.config.every_epochs * np.arange(len(request.plans))
        wanted = np.maximum(np.round(times * epoch).astype(int), 1)
        keep = sorted(set(wanted.tolist()))
        trained = train_networks(
            request.architecture,
            request.dataset,
            list(request.plans[:1]),
            training,
            request.tools.device,
            steps=keep[-1],
            keep=keep,
        )
        # Times that round to the same batch give the same network.
        chosen = torch.from_numpy(np.searchsorted(keep, wanted))
        along = StackedNetworks(trained.checkpoints.network(0))
        return MadeNetworks(along.map(lambda values: values[chosen]), keep[-1])
