"""Speed of the grids' lanes against plain Python and MiniGrid: python benchmarks/envs_speed.py."""

from looplab.envs.grids.classics.absent_supervisor import AbsentSupervisor
from looplab.envs.grids.classics.cliff_walking import CliffWalking
from looplab.envs.grids.classics.distributional_shift import DistributionalShift
from looplab.envs.grids.classics.island_navigation import IslandNavigation
from looplab.envs.grids.classics.off_switch import OffSwitch
from looplab.envs.grids.classics.sokoban import Sokoban
from looplab.envs.grids.classics.whisky_gold import WhiskyGold
from looplab.envs.grids.hazard_grid import HazardGrid
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments.bench_envs import MakeLanes, bench_envs, plain_rivals

#: Every task that has a rival, by its name in configs/env.
TASKS: dict[str, MakeLanes] = {
    "absent_supervisor": AbsentSupervisor,
    "cliff_walking_native": CliffWalking,
    "distributional_shift": DistributionalShift,
    "hazard_grid": HazardGrid,
    "island_navigation": IslandNavigation,
    "lava_shortcut": LavaShortcut,
    "off_switch": OffSwitch,
    "sokoban": Sokoban,
    "whisky_gold": WhiskyGold,
}

if __name__ == "__main__":
    bench_envs(TASKS, plain_rivals())
