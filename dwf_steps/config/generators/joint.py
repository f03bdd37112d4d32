"""Networks that a generator makes which knows several zoos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dwf_steps.config.generators.base import Context, GeneratorConfig, Sizes, Work
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.section import Name, planning
from dwf_steps.config.zoo import JointZoo


class JointConfig(GeneratorConfig):
    """What a generator makes in a zoo of several when it is asked for this one, judged beside what was fitted
    to this zoo alone."""

    implementation: ClassVar[str] = "dwf_steps.generators.joint:Joint"
    control: ClassVar[bool] = False
    makes: ClassVar[Literal["samples", "networks"]] = "networks"

    kind: Literal["joint"]
    """Marks the generator as one that is fitted to several zoos."""
    zoo: Name
    """The zoo of several, `{zoos: [...]}`, of which this one is a member."""
    generator: Name
    """A generator that is told zoos (`condition: {variable: zoo}`). It works there in the same representation
    and subspace as the experiment's; the first `sampling.samples` of its networks that are asked for this
    zoo are taken."""

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
            found = list(joint.members) if isinstance(joint, JointZoo) else "networks of its own"
            yield (
                f"{where}.zoo: found {self.zoo!r}, which has {found}, expected a zoo of several with "
                f"{zoo!r} among them; set zoos.{self.zoo}.zoos, or leave the generator out for zoo {zoo!r}"
            )
            return
        generator = context.config.generators[self.generator]
        if not isinstance(generator, FlowConfig) or not generator.asks_for_zoos:
            yield (
                f"{where}.generator: {self.generator!r} is not told which zoo a network is of; set its "
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
        """Networks while they are read and stacked."""
        return Work(12 * networks * sizes.d, 10 * networks * sizes.d)
