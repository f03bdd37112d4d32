"""Architectures defined by a PyTorch module, run for many networks at once by `torch.func`."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.parameter import is_lazy

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.random_draws import random_parts, seeded
from dwf_steps.architectures.stated import StatedWronglyError, stated
from dwf_steps.config.architectures.base import SYMMETRIES, Initialisation
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.runtime import gpu
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import despite_missing_operators
from dwf_steps.runtime.plugins import describe, find_plugin
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.found import FoundSymmetries, find_symmetries
from dwf_steps.symmetry.spec import Attention, PermutationSpec, RescalingSpec, unit_counts, with_buffers

# Multiplications per input, over all networks that run together: larger groups are no faster than single
# networks (docs/benchmarks.md, "Training ResNets").
GROUP_MULTIPLICATIONS = {"cpu": 5 * 10**6, "cuda": gpu.GROUP_MULTIPLICATIONS}
# Largest difference between outputs of networks run together and one by one, relative to the largest output.
# Rounding stays below it, even after normalisation over two examples; wrong batching rules do not. Networks
# that exceed it are run one by one.
SAME_OUTPUTS = 1e-3
LISTED = 5  # parts of a module named in one message


logger = logging.getLogger(__name__)

FunctionalConfig = ResNetConfig | ViTConfig | BertConfig | ModuleConfig


@dataclass(frozen=True)
class BatchStatistics:
    """Statistics of a batch normalisation's inputs.

    Attributes
    ----------
    mean, variance
        Means and unbiased variances of n networks' channels, (n, c).
    count
        Number of values per channel.
    """

    mean: Tensor
    variance: Tensor
    count: int


class FunctionalArchitecture(Architecture):
    """An architecture defined by a function that creates its module.

    Parameters
    ----------
    config
        The configuration.
    make
        Returns a module that takes inputs (b, *config.shape).

    Raises
    ------
    InputError
        If the function fails, if it does not return a module with the stated sizes, or if the module has
        dropout, batch normalisation without running statistics, or buffers of unsupported types.
    """

    config: FunctionalConfig

    def __init__(self, config: FunctionalConfig, make: Callable[..., Any]) -> None:
        self.config, self._make = config, make
        # vmap does not support its fused kernel.
        torch.backends.mha.set_fastpath_enabled(False)
        self._module = self._new(0)
        self.batch_norms = {
            name: part for name, part in self._module.named_modules() if isinstance(part, BatchNorm)
        }
        parameters = dict(self._module.named_parameters())
        names = {id(value): name for name, value in parameters.items()}
        every = self._module.named_parameters(remove_duplicate=False)
        self.tied = {name: names[id(value)] for name, value in every if name not in parameters}
        self.shapes = {name: tuple(value.shape) for name, value in self._state(self._module).items()}
        self.buffers = tuple(name for name in self.shapes if name not in parameters)
        stored = self._module.state_dict().keys()
        self._constants = {name: value for name, value in self._module.named_buffers() if name not in stored}
        self._refuse()
        self.layout = Layout.of({name: tuple(value.shape) for name, value in parameters.items()})
        self.layers, self.multiplications = self._sizes()
        if not isinstance(config, ModuleConfig):
            self.symmetries = tuple(config.symmetries)
            self.multiplications = config.multiplications  # with attention scores, which hooks do not count

    def module(self) -> nn.Module:
        return self._new(0)

    def initial_state(
        self, initialisation: Initialisation, generator: torch.Generator
    ) -> NetworkState[Tensor]:
        """Initialise one network by creating the module.

        PyTorch's global generator is seeded from ``generator``.

        Raises
        ------
        ValueError
            If the initialisation is not ``default``.
        """
        if initialisation != "default":
            raise ValueError(f"{self.config.called} initialises itself; found {initialisation!r}")
        seed = int(torch.randint(2**62, (), generator=generator))
        return self._state(self._new(seed))

    def at_once(self, n: int, device: torch.device) -> int:
        # A large network fills the device, and is faster alone than in a grouped convolution.
        return min(n, max(1, GROUP_MULTIPLICATIONS[device.type] // max(1, self.multiplications)))

    def forward(
        self,
        networks: StackedNetworks[Tensor],
        inputs: Tensor,
        training: bool = False,
        channels_last: bool = False,
    ) -> Tensor:
        n, own, shaped = networks.count, inputs.dim() == 3, inputs.unflatten(-1, self.config.shape)

        def run(groups: list[slice]) -> Tensor:
            if len(groups) == 1:
                return self._run(networks, shaped, own, channels_last)
            parts = ((networks.select(rows), shaped[rows] if own else shaped) for rows in groups)
            return torch.cat([self._run(some, seen, own, channels_last) for some, seen in parts])

        self._module.train(training)
        try:
            # With gradients, activations of all groups stay in memory: the caller must divide the networks.
            if torch.is_grad_enabled():
                return run(self.groups(n, inputs.device))
            return self.in_groups(n, inputs.device, run)
        finally:
            self._module.eval()

    def _run(
        self, networks: StackedNetworks[Tensor], shaped: Tensor, own: bool, channels_last: bool
    ) -> Tensor:
        if networks.count == 1:
            images = shaped[0] if own else shaped
            if channels_last and images.dim() == 4:
                images = images.contiguous(memory_format=torch.channels_last)
            return self.call(networks.network(0), images).unsqueeze(0)
        # vmap would run fused attention one network at a time. It only maps over plain dictionaries.
        with sdpa_kernel(SDPBackend.MATH):
            outputs: Tensor = vmap(self.call, in_dims=(0, 0 if own else None))(dict(networks), shaped)
        return outputs

    def call(self, network: NetworkState[Tensor], inputs: Tensor) -> Tensor:
        """Return one network's outputs (b, classes) for inputs (b, *config.shape).

        Buffers outside the state dict are converted to the network's precision and device, as by
        ``module.to``.
        """
        outputs: Tensor = functional_call(self._module, self._constants_of(network) | network, (inputs,))
        return outputs

    def _constants_of(self, network: NetworkState[Tensor]) -> NetworkState[Tensor]:
        weight = next((value for value in network.values() if value.is_floating_point()), None)
        if weight is None:
            return dict(self._constants)
        constants = {}
        for name, value in self._constants.items():
            dtype = value.dtype
            if weight.dtype != torch.float32 and (value.is_floating_point() or value.is_complex()):
                dtype = weight.dtype.to_complex() if value.is_complex() else weight.dtype
            constants[name] = value.to(weight.device, dtype)
        return constants

    def batch_statistics(
        self, networks: StackedNetworks[Tensor], inputs: Tensor
    ) -> dict[str, BatchStatistics]:
        """Return the statistics of every batch normalisation's inputs for a batch (b, features), by name.

        All layers normalise by the batch's own statistics.
        """
        norms = self.batch_norms
        seen = networks.replaced({name: networks[name].clone() for name in self.buffers if name in networks})
        momenta = {name: norm.momentum for name, norm in norms.items()}
        try:
            for norm in norms.values():
                norm.momentum = 1.0  # so that the running statistics become the batch's
            self.forward(seen, inputs, training=True)
        finally:
            for name, norm in norms.items():
                norm.momentum = momenta[name]
        return {
            name: BatchStatistics(
                seen[f"{name}.running_mean"], seen[f"{name}.running_var"], len(inputs) * self._places[name]
            )
            for name in norms
        }

    @property
    def smallest_batch(self) -> int:
        """Smallest training batch: 2 if a batch normalisation has one value per channel and input, else 1."""
        return 2 if 1 in self._places.values() else 1

    def _with_buffers(self, spec: PermutationSpec) -> PermutationSpec:
        return with_buffers(spec, {name: self.shapes[name] for name in self.buffers})

    def _new(self, seed: int) -> nn.Module:
        with seeded(seed):
            module = self._make()
        if not isinstance(module, nn.Module):
            raise InputError(
                f"{self.config.called} returned {type(module).__name__}, expected a torch.nn.Module"
            )
        parameters = dict(module.named_parameters())
        if lazy := [name for name, value in parameters.items() if is_lazy(value)]:
            raise InputError(
                f"{self.config.called}: {lazy[0]} has no shape yet; state its input's size instead of using "
                "lazy modules"
            )
        if other := [name for name, value in parameters.items() if value.dtype != torch.float32]:
            raise InputError(
                f"{self.config.called}: {other[0]} is a parameter of {parameters[other[0]].dtype}, expected "
                "float32"
            )
        if not parameters:
            raise InputError(f"{self.config.called}: has no parameters, expected some to train")
        return module.eval()

    def _state(self, module: nn.Module) -> NetworkState[Tensor]:
        """Return a module's state dict, with tied parameters once."""
        return {name: value for name, value in module.state_dict().items() if name not in self.tied}

    def _refuse(self) -> None:
        module, name = self._module, self.config.called
        state = module.state_dict()
        if others := [key for key in self.buffers if state[key].dtype not in (torch.float32, torch.int64)]:
            raise InputError(
                f"{name}: {others[0]} is a buffer of {state[others[0]].dtype}, expected float32 or int64; "
                "register it with persistent=False if it is a constant"
            )
        for key, norm in self.batch_norms.items():
            if norm.momentum is None or not norm.track_running_stats:
                raise InputError(
                    f"{name}: {key} keeps no running statistics with a momentum (momentum={norm.momentum}, "
                    f"track_running_stats={norm.track_running_stats}), expected PyTorch's defaults"
                )
        if dropout := [key for key, part in module.named_modules() if _drops(part)]:
            raise InputError(
                f"{name}: dropout is not supported, because many networks are trained at once "
                f"({', '.join(dropout)}); leave it out or set it to 0"
            )

    def _sizes(self) -> tuple[tuple[int, ...], int]:
        """Return the output size of each part of the module, and the multiplications, for one input.

        Multiplications are counted in linear, convolutional and recurrent layers.
        """
        values: list[int] = []
        multiplications = 0
        names = {norm: name for name, norm in self.batch_norms.items()}
        # Number of values per channel and input of each batch normalisation.
        self._places: dict[str, int] = {}

        def note(part: nn.Module, _inputs: Any, output: Any) -> None:
            nonlocal multiplications
            if isinstance(part, nn.RNNBase):
                states = output[0].data  # of every step; also works for packed sequences
                gates = {"LSTM": 4, "GRU": 3}.get(part.mode, 1)
                values.extend([states.numel() * gates] * part.num_layers)
                weights = sum(value.numel() for value in part.parameters() if value.dim() > 1)
                multiplications += weights * states.numel() // states.shape[-1]
            elif isinstance(output, Tensor):
                values.append(output.numel())
                weight = getattr(part, "weight", None)
                if isinstance(weight, Tensor) and weight.dim() > 1 and output.dim() > 1:
                    channels = -1 if isinstance(part, nn.Linear) else 1
                    multiplications += weight.numel() * output.numel() // output.shape[channels]
            if part in names:
                self._places[names[part]] = output.numel() // output.shape[1]

        hooks = [part.register_forward_hook(note) for part in self._module.modules()]
        try:
            output = self.call(self._state(self._module), torch.zeros(1, *self.config.shape))
        except Exception as error:  # the module may raise anything
            raise InputError(
                f"{self.config.called}: does not take inputs of shape {list(self.config.shape)} "
                f"({describe(error)}); correct architecture.shape, or the module's forward"
            ) from error
        finally:
            for hook in hooks:
                hook.remove()
        if not isinstance(output, Tensor):
            raise InputError(
                f"{self.config.called}: returned {type(output).__name__} for one input, expected a tensor of "
                f"shape (1, {self.config.classes})"
            )
        if tuple(output.shape) != (1, self.config.classes):
            raise InputError(
                f"{self.config.called}: returned outputs of shape {tuple(output.shape)} for one input, "
                f"expected (1, {self.config.classes}); correct architecture.classes"
            )
        return tuple(values), multiplications


class ModuleArchitecture(FunctionalArchitecture):
    """An architecture defined by a user-provided callable.

    Git Re-Basin can align the networks if the module has a method ``permutation_spec`` (parameter -> for each
    axis the name of the permutation that acts on it, or None), TransFusion can align its heads if it has
    ``attention_spec`` (a list of `Attention`), and weights can be rescaled if it has ``rescaling_spec``.
    Without ``permutation_spec``, symmetries that are not stated are found by tracing when they are first
    needed.

    Networks that `torch.func` cannot run together, such as recurrent ones, run one at a time.

    Raises
    ------
    InputError
        If the callable cannot be imported, if the module draws random numbers in training or cannot be
        trained, or if the symmetries that it states do not fit it.
    """

    config: ModuleConfig

    def __init__(self, config: ModuleConfig) -> None:
        plugin = find_plugin(config.target, "architecture.import")
        self.source_file = plugin.source_file
        self._repeats = False
        super().__init__(config, partial(_call, plugin.make, config))
        self._refuse_randomness()
        self._alone = not self._runs_many_at_once()
        self._specs = {name: self._stated(name) for name in SYMMETRIES if hasattr(self._module, name)}
        if self._specs:
            self._refuse_single_precision()

    @cached_property
    def symmetries(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(name for name in SYMMETRIES if name in self._specs or self._spec(name))

    @property
    def untraced(self) -> str:
        """The reason why tracing found no more symmetries, for messages; empty if there is none."""
        return self._found.unknown if self._found is not None else ""

    def at_once(self, n: int, device: torch.device) -> int:
        return 1 if self._alone else super().at_once(n, device)

    def initial_state(
        self, initialisation: Initialisation, generator: torch.Generator
    ) -> NetworkState[Tensor]:
        if not self._repeats:
            first, again = (self._state(self._new(0)) for _ in range(2))
            if differing := [name for name, value in first.items() if not _same(value, again[name])]:
                raise InputError(
                    f"{self.config.called}: the first weights of {differing[0]} are not the same when it is "
                    "called again with the same seed; draw them from PyTorch's global generator"
                )
            self._repeats = True
        return super().initial_state(initialisation, generator)

    def permutation_spec(self) -> PermutationSpec:
        if "permutation_spec" not in self.symmetries:
            return super().permutation_spec()
        return dict(self._spec("permutation_spec"))

    def rescaling_spec(self) -> RescalingSpec:
        if "rescaling_spec" not in self.symmetries:
            return super().rescaling_spec()
        return list(self._spec("rescaling_spec"))

    def attention_spec(self) -> list[Attention]:
        return list(self._spec("attention_spec"))

    def _spec(self, name: str) -> Any:
        """Return the stated or traced symmetries of a kind; empty if there are none."""
        if name in self._specs or self._found is None:
            return self._specs.get(name, ())
        found = {
            "permutation_spec": self._found.permutations if self._found.any_permuted else {},
            "rescaling_spec": self._found.rescalings,
            "attention_spec": self._found.attentions,
        }
        return found[name]

    @cached_property
    def _found(self) -> FoundSymmetries | None:
        """The symmetries that tracing finds; None if the module states its permutations."""
        if "permutation_spec" in self._specs:
            return None
        # From a new module: with shared parts, `functional_call` leaves its arguments in the existing one.
        state = self._state(self._new(0))
        return find_symmetries(self.call, state, self.buffers, self.config.shape, self.config.called)

    @property
    def most_units(self) -> int:
        """Number of units that the largest permutation acts on; 1 if there is none."""
        return max(unit_counts(self.shapes, self.permutation_spec()).values(), default=1)

    @property
    def units_and_most_inputs(self) -> tuple[int, int]:
        """Total number of units, and the largest number of inputs of a unit.

        Units of all parts with weight matrices or kernels count, except embeddings.
        """
        parts = [part for part in self._module.modules() if not isinstance(part, nn.Embedding)]
        weights = {id(value): value for part in parts for value in part.parameters(recurse=False)}
        shapes = [value.shape for value in weights.values() if value.dim() > 1]
        return sum(shape[0] for shape in shapes), max((shape[1:].numel() for shape in shapes), default=1)

    def _refuse_randomness(self) -> None:
        """Run a training pass on two examples, and reject modules that draw random numbers."""
        shape = (2, self.config.classes)
        self._module.train()
        try:
            with torch.no_grad(), seeded(0), sdpa_kernel(SDPBackend.MATH):
                state = {name: value.clone() for name, value in self._state(self._module).items()}
                outputs: list[Any] = []
                drawing = random_parts(
                    self._module,
                    lambda: outputs.append(self.call(state, torch.zeros(2, *self.config.shape))),
                )
        except Exception as error:  # the module may raise anything
            raise InputError(
                f"{self.config.called}: fails on two examples while training ({describe(error)}); correct "
                "the module's forward"
            ) from error
        finally:
            self._module.eval()
        if drawing:
            more = f" and {len(drawing) - LISTED} more parts" if len(drawing) > LISTED else ""
            where = ", ".join(drawing[:LISTED]) + more
            raise InputError(
                f"{self.config.called}: draws random numbers while training, in {where}, which "
                "is not supported, because many networks are trained at once and must be reproducible; leave "
                "it out or set its probability to 0"
            )
        found = tuple(outputs[0].shape) if isinstance(outputs[0], Tensor) else type(outputs[0]).__name__
        if found != shape:
            raise InputError(
                f"{self.config.called}: returned {found} for two examples while training, expected a tensor "
                f"of shape {shape}, as in evaluation mode"
            )

    def _runs_many_at_once(self) -> bool:
        """Whether two networks run by `torch.func` return the same outputs as one by one.

        This is tested in training and evaluation mode, with shared and with separate inputs.
        """
        most = GROUP_MULTIPLICATIONS["cuda" if torch.cuda.is_available() else "cpu"]
        if 2 * self.multiplications > most:
            return True  # they are never run together
        networks = StackedNetworks.stack([self._state(self._new(seed)) for seed in range(2)], torch.stack)
        # Zeros and ones are also valid tokens.
        inputs = torch.rand(2, 2, *self.config.shape, generator=torch_generator("two networks")).round()
        try:
            with torch.no_grad(), warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
                warnings.simplefilter("ignore")
                found = self._change_of_outputs(networks, inputs)
        except Exception as error:  # operations without a batching rule raise different errors
            logger.info("%s runs one network at a time (%s)", self.config.called, describe(error))
            return False
        finally:
            self._module.eval()
        if found > SAME_OUTPUTS:
            logger.info(
                "%s runs one network at a time (run together, outputs differ by %.2g, relative)",
                self.config.called,
                found,
            )
        return found <= SAME_OUTPUTS

    def _change_of_outputs(self, networks: StackedNetworks[Tensor], inputs: Tensor) -> float:
        """Return the largest relative difference of two networks' outputs, run together and one by one.

        Parameters
        ----------
        networks
            The two networks.
        inputs
            (2, b, *shape).
        """
        changes = []
        for training, own in product((True, False), repeat=2):
            self._module.train(training)
            seen = inputs if own else inputs[0]
            found = self._run(networks.map(Tensor.clone), seen, own, channels_last=False).nan_to_num()
            each, alone = inputs if own else inputs[:1].expand_as(inputs), networks.map(Tensor.clone)
            expected = torch.stack([self.call(alone.network(i), each[i]) for i in range(2)]).nan_to_num()
            changes.append(float(((found - expected).abs().max() / expected.abs().max()).nan_to_num()))
        return max(changes)

    def _refuse_single_precision(self) -> None:
        """Run the module in float64, as the check of canonical networks does, and reject it if that fails."""
        state = {
            name: value.double() if value.is_floating_point() else value
            for name, value in self._state(self._module).items()
        }
        try:
            with torch.no_grad():
                self.call(state, torch.zeros(1, *self.config.shape, dtype=torch.float64))
        except Exception as error:  # the module may raise anything
            raise InputError(
                f"{self.config.called}: states symmetries ({', '.join(self._specs)}), but cannot compute "
                f"in float64, where they are checked ({describe(error)}); register constants with "
                "register_buffer(..., persistent=False), and make new tensors of the inputs' dtype"
            ) from error

    def _stated(self, name: str) -> Any:
        try:
            return stated(self._module, name, self.shapes, self.buffers)
        except StatedWronglyError as error:
            raise InputError(f"{self.config.called}: {name}: {error}") from error


def _call(make: Callable[..., Any], config: ModuleConfig) -> Any:
    """Call the user's callable.

    Raises
    ------
    InputError
        If it fails.
    """
    try:
        return despite_missing_operators(partial(make, **config.kwargs))
    except Exception as error:  # the user's code may raise anything
        given = ", ".join(f"{name}={value!r}" for name, value in config.kwargs.items())
        raise InputError(
            f"{config.called}: calling it with ({given}) failed ({describe(error)}); correct "
            "architecture.kwargs, or the callable"
        ) from error


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())


def _drops(part: nn.Module) -> bool:
    if isinstance(part, nn.MultiheadAttention):
        return part.dropout > 0
    return isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0
