"""Runs many seeds of the simulator on every core: `make simulate`."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.callers import Caller
from tests.simulation.gateways import Gateway
from tests.simulation.memory import Broken
from tests.simulation.world import World

SEEDS = 10_000
SEEDS_A_CHUNK = 50


def run_chunk(first: int) -> tuple[list[str], int, int]:
    """What broke in a chunk of seeds, and how many crashes and fenced commits there were."""
    broken: list[str] = []
    crashes = fenced = 0
    for seed in range(first, first + SEEDS_A_CHUNK):
        # Every other world has gateways that admit calls under leases.
        world = World(seed, Caller, Gateway if seed % 2 else None)
        try:
            world.run()
        except Broken as error:
            broken.append(f"seed {seed}: {error}")
        crashes += world.crashes
        fenced += world.fenced
    return broken, crashes, fenced


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every promise was kept under every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many, in steps of 50")
    firsts = range(0, parser.parse_args(arguments).seeds, SEEDS_A_CHUNK)
    broken: list[str] = []
    crashes = fenced = 0
    with ProcessPoolExecutor() as pool:
        for done, chunk in enumerate(pool.map(run_chunk, firsts), start=1):
            broken += chunk[0]
            crashes, fenced = crashes + chunk[1], fenced + chunk[2]
            sys.stderr.write(f"\r{done * SEEDS_A_CHUNK} seeds, {len(broken)} broken")
    sys.stderr.write("\n")
    sys.stdout.write("\n".join([*broken[:20], ""] if broken else []))
    sys.stdout.write(
        f"{len(firsts) * SEEDS_A_CHUNK} seeds, {crashes} crashes, {fenced} commits fenced off,"
        f" {len(broken)} seeds broke a promise\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
