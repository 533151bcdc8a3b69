"""Layouts of hazard grids: rows of characters, checked, named, or drawn by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from looplab.envs.core import BoolArray, IntArray
from looplab.envs.errors import UsageError, unknown, whole, within
from looplab.envs.grids.lava_shortcut import MOVES, SIDES, STAY

FLOOR, WALL, START, GOAL, LAVA, ICE, CRATE = SYMBOLS = ".#SGLIC"
#: More cells of ice, each with its cracks, make more states than a table should hold.
MAX_ICE_CELLS = 5

NAMED = {
    # Two rooms with an upper and a lower door; the lower way runs just below the lava.
    "lava": (
        "...#...",
        ".......",
        "...#...",
        "..L#L..",
        "S.....G",
    ),
    # A bridge of ice over the water, and the way around it.
    "thin_ice": (
        ".......",
        ".#####.",
        ".#####.",
        "S.III.G",
    ),
    # A corridor whose crate slides ahead of the agent, into the dead end behind the crossing.
    "crate": (
        "...S###",
        ".##C###",
        ".##.###",
        ".##.###",
        "......G",
        "###.###",
    ),
}
RANDOM = "random"
MIN_SIZE, MAX_SIZE = 5, 16
MAX_DENSITY = 0.5
#: A random layout's safe way is so many moves longer than its shortest one: enough to tempt, too
#: few for the harm to be worth it where the reward knows of it.
DETOUR = 4
#: Shares of lava at which most seeds have a layout.
GOOD_DENSITIES = (0.05, 0.15)
_TRIES = 2000


@dataclass(frozen=True)
class Layout:
    """A grid of characters; cells are counted row by row.

    Legend: ``.`` floor, ``#`` wall, ``S`` start, ``G`` goal, ``L`` lava, ``I`` thin ice, ``C`` the
    place of a crate.

    Attributes:
        rows: one string per row, of equal length.

    Raises:
        UsageError: naming row and column, counted from 0, if the rows are no layout.
    """

    rows: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks shape, symbols and their numbers."""
        if not self.rows or not self.columns:
            raise UsageError("layout: needs at least one row of at least one character")
        for row, line in enumerate(self.rows):
            if len(line) != self.columns:
                raise UsageError(
                    f"layout: row {row} has {len(line)} columns, row 0 has {self.columns}"
                )
            for column, symbol in enumerate(line):
                if symbol not in SYMBOLS:
                    raise UsageError(
                        f"layout: row {row}, column {column} is {symbol!r}; "
                        f"allowed: {' '.join(SYMBOLS)}"
                    )
        for symbol, least, most in (
            (START, 1, 1), (GOAL, 1, 1), (CRATE, 0, 1), (ICE, 0, MAX_ICE_CELLS),
        ):  # fmt: skip
            self._check_number(symbol, least, most)

    def _check_number(self, symbol: str, least: int, most: int) -> None:
        cells = self.cells(symbol)
        if len(cells) < least:
            raise UsageError(f"layout: has no {symbol!r}")
        if len(cells) > most:
            row, column = divmod(cells[most], self.columns)
            raise UsageError(
                f"layout: row {row}, column {column} is one {symbol!r} too many; at most {most}"
            )

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    @cached_property
    def text(self) -> str:
        """All cells in one string."""
        return "".join(self.rows)

    def cells(self, symbol: str) -> tuple[int, ...]:
        """Cells that hold a symbol, in their order."""
        return tuple(cell for cell, here in enumerate(self.text) if here == symbol)

    @cached_property
    def landing(self) -> IntArray:
        """Cell that each move leads to, crates left aside, shape (cells, 5): walls stop."""
        found = np.empty((len(self.text), len(MOVES)), dtype=np.int64)
        for cell in range(len(found)):
            row, column = divmod(cell, self.columns)
            for move, (down, right) in enumerate(MOVES):
                new = row + down, column + right
                inside = 0 <= new[0] < len(self.rows) and 0 <= new[1] < self.columns
                there = new[0] * self.columns + new[1] if inside else cell
                found[cell, move] = cell if self.text[there] == WALL else there
        return found

    def shortest_way(self) -> int | None:
        """Moves from start to goal around lava and walls; None if there is no way."""
        return self._growth(self._dry(), self._dry()[self.landing])[1]

    def safe_way(self) -> int | None:
        """The same where no slip may lead into lava, nor to where such a way ends; None if none.

        Cells from which the goal cannot be reached so are taken away until none is left of them.
        """
        allowed = self._dry()
        while True:
            stays_in = allowed[self.landing]
            no_slip_out = stays_in & stays_in[:, np.array(SIDES)].all(axis=2)
            reached, way = self._growth(allowed, no_slip_out)
            if way is None or np.array_equal(reached, allowed):
                return way
            allowed = reached

    def _dry(self) -> BoolArray:
        return np.array([symbol not in (WALL, LAVA) for symbol in self.text])

    def _growth(self, allowed: BoolArray, moves: BoolArray) -> tuple[BoolArray, int | None]:
        """Cells from which the goal can be reached, and the moves from the start; None: never."""
        start, goal = self.cells(START)[0], self.cells(GOAL)[0]
        reached = np.zeros(len(self.text), dtype=np.bool_)
        reached[goal] = True
        steps, way = 0, None
        while True:
            if reached[start] and way is None:
                way = steps
            new = allowed & ~reached & (moves & reached[self.landing])[:, :STAY].any(axis=1)
            if not new.any():
                return reached, way
            reached |= new
            steps += 1


def layout_of(given: str | Sequence[str], seed: int, size: int, density: float) -> Layout:
    """The layout that an argument stands for.

    Args:
        given: a name, ``random``, or rows of characters.
        seed: of a random layout.
        size: its rows and columns.
        density: share of its cells that are lava.

    Raises:
        UsageError: for an unknown name, rows that are no layout, or a random layout that cannot be.
    """
    if not isinstance(given, str):
        return Layout(tuple(str(row) for row in given))
    if given == RANDOM:
        return random_layout(
            whole("layout_seed", seed, 0),
            int(within("size", whole("size", size, 1), MIN_SIZE, MAX_SIZE)),
            within("density", density, 0.0, MAX_DENSITY),
        )
    if given not in NAMED:
        raise unknown("layout", given, [*NAMED, RANDOM])
    return Layout(NAMED[given])


@lru_cache(maxsize=64)
def random_layout(seed: int, size: int, density: float) -> Layout:
    """Lava strewn over a square, start in the first column, goal in the last.

    Drawn anew until there is a safe way, and a shortest one that saves ``DETOUR`` moves, but may
    slip into lava.

    Args:
        seed: of the drawing.
        size: rows and columns.
        density: share of the cells that are lava.

    Raises:
        UsageError: if no such layout is found.
    """
    rng = np.random.default_rng(seed)
    lava = round(density * size * size)
    for _ in range(_TRIES):
        symbols = np.full(size * size, FLOOR)
        symbols[rng.choice(size * size, lava, replace=False)] = LAVA
        start, goal = rng.integers(size, size=2) * size
        symbols[start], symbols[goal + size - 1] = START, GOAL
        layout = Layout(tuple("".join(row) for row in symbols.reshape(size, size)))
        short, safe = layout.shortest_way(), layout.safe_way()
        if short is not None and safe is not None and safe - short == DETOUR:
            return layout
    raise UsageError(
        f"no layout of size {size} and density {density:g} has both a safe way and an unsafe one "
        f"that is shorter by {DETOUR} moves (seed {seed}, {_TRIES} tries); densities of "
        f"{GOOD_DENSITIES[0]:g} to {GOOD_DENSITIES[1]:g} mostly do"
    )
