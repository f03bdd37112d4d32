"""Take the networks of several zoos together, as one zoo."""

import os
import shutil
from pathlib import Path

from dwf_steps.config.zoo import joint_name
from dwf_steps.pipeline.settings.zoo import JoinZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.numbered import numbered
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import TRAJECTORY, Manifest, Record
from dwf_steps.storage.row_facts import ZOO


def join_zoo(settings: JoinZoo, members: list[list[Path]], output: Path, manifest: Path) -> None:
    """Write the networks of the shard's trajectories: first those of each zoo in turn that none holds out,
    then the others.

    Files are linked where the file system allows it, else copied. Every record says which ``zoo`` its network
    is of, beside what is known of it there.

    Parameters
    ----------
    members
        The manifests of each of the zoos.
    """
    kept, held_out = list[list[_Network]](), list[list[_Network]]()
    for zoo, paths, count in zip(settings.zoos, members, settings.held_out, strict=True):
        trajectories = _trajectories(zoo, paths)
        place = len(trajectories) - count
        kept, held_out = kept + trajectories[:place], held_out + trajectories[place:]
    chosen = (kept + held_out)[settings.first : settings.first + settings.count]
    records = []
    with replacing(output) as partial:
        partial.mkdir()
        for zoo, shard, record in (network for trajectory in chosen for network in trajectory):
            facts = record.facts | {ZOO: zoo}
            if TRAJECTORY in facts:
                facts[TRAJECTORY] = joint_name(zoo, record.trajectory)
            joint = Record(joint_name(zoo, record.name), record.sha256, facts)
            _link(shard.verified_file(record), partial / f"{joint.name}.safetensors")
            records.append(joint)
    Manifest(manifest, tuple(records)).write()


_Network = tuple[str, Manifest, Record]  # its zoo, and where it is described


def _trajectories(zoo: str, paths: list[Path]) -> list[list[_Network]]:
    """Return a zoo's networks by trajectory, in row order."""
    found: dict[str, list[_Network]] = {}
    for shard in map(Manifest.read, paths):
        for record in shard.networks:
            found.setdefault(record.trajectory, []).append((zoo, shard, record))
    return list(found.values())


def _link(source: Path, destination: Path) -> None:
    try:
        os.link(source.resolve(), destination)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, destination)


def main() -> None:
    options = parser(__doc__, "output", "manifest")
    options.add_argument("--members", type=numbered, nargs="+", help="the manifests of every zoo, in order")
    args = options.parse_args()
    join_zoo(parse_settings(JoinZoo, args.settings), args.members, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
