"""Selection of first-layer units with complementary responses from several candidates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.layers import Layer, Trace
from dwf_steps.representation.responses import all_inputs
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.spec import named_in

EXAMPLES = 4
"""Random inputs for the check that units of the first layer reach the second one separately."""


@dataclass(frozen=True)
class UnitSelection:
    """The first two layers of networks whose first-layer units are selected from several candidates.

    Attributes
    ----------
    first, second
        The layers.
    inputs
        The number of inputs of the second layer that depend on each unit.
    interchangeable
        Whether any unit may take any place, since only the second layer reads the first one's units.
    """

    first: Layer
    second: Layer
    inputs: int
    interchangeable: bool

    @classmethod
    def of(cls, architecture: Architecture, trace: Trace) -> UnitSelection:
        """Find the first two layers.

        Raises
        ------
        InputError
            If units of the first layer do not reach the second one separately.
        """
        first, second, *_ = (*trace.layers, None, None)
        if first is None or second is None or not first.reads_data:
            raise _refused(architecture, "it has no layer after one that reads the data")
        count, rest = divmod(second.fan_in * second.groups, first.units)
        if second.reads_data or second.groups > 1 or rest:
            raise _refused(
                architecture, f"{second.weight} does not read {first.units} units of {first.weight}"
            )
        if not _pass_one_by_one(architecture, first, second, count):
            raise _refused(
                architecture, f"units of {first.weight} are mixed before they reach {second.weight}"
            )
        own = {*first.parameters, *_affine(first)}
        spec = architecture.permutation_spec()
        unit = spec[first.weight][0]
        readers = {
            name
            for name, axes in spec.items()
            if any(unit in named_in(axis) for axis in axes) and name not in (*own, *architecture.buffers)
        }
        return cls(first, second, count, isinstance(unit, str) and readers == {second.weight})

    def choose(self, decoder: Decoder, candidates: Tensor, buffers: StackedNetworks[Tensor]) -> Tensor:
        """Select the units of n networks, each from c candidates.

        The target of the second layer is that of the first candidate. Units are selected one after another:
        the next one is the unit that, together with those before it and with least squares weights, comes
        closest to the target (orthogonal matching pursuit with several targets; Tropp, Gilbert & Strauss
        2006).

        Parameters
        ----------
        decoder
            Decodes the steps before the second layer.
        candidates
            Coordinates of the candidates, (n, c, d').
        buffers
            Buffers of n networks.

        Returns
        -------
        Coordinates of the networks, (n, d'): those of the first candidate, except for the first layer's
        units.
        """
        n, c, _ = candidates.shape
        rows = candidates.flatten(0, 1)
        repeated = buffers.map(lambda values: values.repeat_interleave(c, dim=0))
        networks = decoder.decode_before(self.second, rows, repeated)
        read = torch.cat(all_inputs(decoder.capture, self.second, networks), dim=2)
        targets = decoder.target(self.second, candidates[:, 0])
        chosen = candidates[:, 0].clone()
        names = (self.first.name, *_affine(self.first))
        own = [entry for entry in decoder.basis.layout.entries if entry.name in names]
        for i in range(n):
            inputs = read[i * c : (i + 1) * c, 0].double().unflatten(-1, (self.first.units, self.inputs))
            found = complementary_units(
                inputs.permute(1, 0, 2, 3).flatten(1, 2),
                targets[i],
                self.first.units,
                decoder.ridge,
                self.second.bias is not None,
                self.interchangeable,
            )
            for entry in own:
                units = candidates[i, :, entry.columns].reshape(c * self.first.units, -1)
                chosen[i, entry.columns] = units[found].flatten()
        return chosen


def complementary_units(
    inputs: Tensor, target: Tensor, count: int, ridge: float, has_bias: bool, interchangeable: bool
) -> Tensor:
    """Select units greedily whose values together predict a target by least squares.

    Parameters
    ----------
    inputs
        Values of the candidates' units, b for each, float64 (rows, c * count, b). Unit k can take place k
        modulo ``count``.
    target
        float64 (rows, outputs).
    count
        The number of units to select.
    ridge
        Penalty on weights, relative to the mean over inputs of their summed squares.
    has_bias
        Whether the prediction includes a constant.
    interchangeable
        Whether any unit may take any place.

    Returns
    -------
    Indices of the units, in the order of their places, (count,).
    """
    total, b = inputs.shape[1:]
    penalty = ridge * inputs.square().sum() / (total * b)
    penalty = torch.where(penalty > 0, penalty, 1.0)
    if has_bias:
        inputs, target = inputs - inputs.mean(0), target - target.mean(0)
    flat = inputs.flatten(1).T.contiguous()  # (units * b, rows)
    products = (flat @ target).unflatten(0, (total, b))  # with what is left of the target
    squares = torch.einsum("rub,ruc->ubc", inputs, inputs) + penalty * torch.eye(b).to(inputs)
    factors = inputs.new_zeros(total, b, 0)
    places = torch.arange(total, device=inputs.device) % count
    allowed = torch.ones(total, dtype=torch.bool, device=inputs.device)
    chosen: list[int] = []
    for _ in range(count):
        solved = torch.cholesky_solve(products, torch.linalg.cholesky(squares))
        gained = (products * solved).sum((1, 2)).masked_fill(~allowed, -torch.inf)
        best = int(gained.argmax())
        chosen.append(best)
        root = torch.linalg.cholesky(squares[best])
        shared = (flat @ inputs[:, best]).unflatten(0, (total, b)) - factors @ factors[best].T
        added = torch.linalg.solve_triangular(root, shared.mT, upper=False).mT  # (units, b, b)
        products = products - added @ torch.linalg.solve_triangular(root, products[best], upper=False)
        squares = squares - added @ added.mT
        squares[best] = penalty * torch.eye(b).to(inputs)  # never chosen again
        factors = torch.cat([factors, added], dim=2)
        allowed[places == places[best] if not interchangeable else best] = False
    found = torch.tensor(chosen, device=inputs.device)
    return found if interchangeable else found[places[found].argsort()]


def _affine(layer: Layer) -> tuple[str, ...]:
    """Return the affine parameters of the batch norm after a layer."""
    norm = layer.normalisation
    return () if norm is None else tuple(name for name in (norm.weight, norm.bias) if name is not None)


def _pass_one_by_one(architecture: Architecture, first: Layer, second: Layer, count: int) -> bool:
    """Return whether each unit determines ``count`` inputs of the second layer, by changing the last unit."""
    draws = torch_generator("units one by one", 0)
    network = architecture.initial_state("default", draws)
    inputs = torch.rand(EXAMPLES, architecture.config.features, generator=draws)
    changed = dict(network)
    changed[first.weight] = network[first.weight].clone()
    changed[first.weight][-1] = torch.randn(changed[first.weight][-1].shape, generator=draws)
    both = StackedNetworks.stack([network, changed], torch.stack)
    capture = Capture(architecture, inputs, positions=EXAMPLES, seed=0)
    before, after = capture.inputs(both, second, slice(None))
    return torch.equal(before[..., :-count], after[..., :-count])


def _refused(architecture: Architecture, why: str) -> InputError:
    return InputError(
        f"{architecture.config.called}: candidates for the first layer's units cannot be compared, since "
        f"{why}; set sampling.candidates: 1"
    )
