"""Speed of the grids' lanes against plain Python and MiniGrid: python benchmarks/envs_speed.py."""

from looplab.envs.grids.hazard_grid import HazardGrid
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments.bench_envs import bench_envs, plain_rivals

if __name__ == "__main__":
    bench_envs({"lava_shortcut": LavaShortcut, "hazard_grid": HazardGrid}, plain_rivals())
