"""Networks from a generator that is fitted to several zoos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dwf_steps.config.generators.base import Context, GeneratorConfig, Sizes, Work
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.section import Name, planning
from dwf_steps.config.zoo import JointZoo


class JointConfig(GeneratorConfig):
    """Networks that a generator fitted to a joint zoo makes when conditioned on this zoo.

    They are evaluated beside those of generators fitted to this zoo alone.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.joint:Joint"
    control: ClassVar[bool] = False
    makes: ClassVar[Literal["samples", "networks"]] = "networks"

    kind: Literal["joint"]
    """Selects a generator that is fitted to several zoos."""
    zoo: Name
    """The joint zoo, `{zoos: [...]}`, of which this zoo is a member."""
    generator: Name
    """A generator conditioned on the zoo (`condition: {variable: zoo}`). It is fitted in the experiment's
    representation and subspace; the first `sampling.samples` of its networks for this zoo are used."""

    @property
    def drawn_in(self) -> tuple[str, str]:
        return self.zoo, self.generator

    @model_validator(mode="after")
    def _drawn_there(self) -> Self:
        if self.sampling.seed != 0:
            raise ValueError(
                f"sampling.seed: found {self.sampling.seed}, but nothing is drawn here; set that of "
                f"generator {self.generator!r}"
            )
        return self

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        joint, asked = context.config.zoos[self.zoo], self.sampling.samples
        if not isinstance(joint, JointZoo) or zoo not in joint.members:
            found = list(joint.members) if isinstance(joint, JointZoo) else "its own networks"
            yield (
                f"{where}.zoo: found {self.zoo!r}, which has {found}, expected a joint zoo with "
                f"{zoo!r} among them; set zoos.{self.zoo}.zoos, or leave the generator out for zoo {zoo!r}"
            )
            return
        generator = context.config.generators[self.generator]
        if not isinstance(generator, FlowConfig) or not generator.asks_for_zoos:
            yield (
                f"{where}.generator: {self.generator!r} is not conditioned on the zoo; set its "
                "condition: {variable: zoo}"
            )
            return
        sampling = generator.sampling
        there = sampling.zoos_asked(list(joint.members), sampling.rows)[:: sampling.candidates].count(zoo)
        if there < asked:
            yield (
                f"{where}.sampling.samples: found {asked}, but generators.{self.generator} makes {there} for "
                f"zoo {zoo!r}, {sampling.samples} in all; ask for at most these, or raise "
                f"generators.{self.generator}.sampling.samples"
            )

    @planning
    def make_work(self, sizes: Sizes, networks: int) -> Work:
        """Return the work of reading and stacking the networks."""
        return Work(12 * networks * sizes.d, 10 * networks * sizes.d)
