"""Warehouses of boxes and coins: one vectorised step, and everything exact where states are few."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import BoolArray, FloatArray, IntArray, Observations
from looplab.envs.errors import UsageError
from looplab.envs.exact import FiniteModel, exact_risk, optimal_values, safe_actions
from looplab.envs.grids.classics.board import (
    ACTIONS,
    GOAL,
    GOAL_REWARD,
    LEARNED_SHARE,
    MOVE_REWARD,
    MOVES,
    SIDES,
    WALL,
    Board,
    best_return,
    boards,
    random_return,
)
from looplab.envs.knowledge import GAMMA

BOX, BOXES, COIN = "X", "X123", "C"
BOARDS = boards(
    "######|# A###|# X  #|##   #|### G#|######",
    "##########|#    #   #|#  1 A   #|# C#  C  #|#### ###2#|# C# #C  #|#  # #   #|# 3  # C #"
    "|#    #   #|##########",
    "#########|#       #|#  1A   #|# C# ####|#### #C #|#     2 #|#       #|#########",
    "##########|#    #   #|#  1 A   #|# C#     #|####     #|# C#  ####|#  #  #C #|# 3    2 #"
    "|#        #|##########",
)
#: Levels with few enough states for dynamic programming; the others have more than six million.
SOLVABLE = (0, 2)
#: Where a box can stand: in the open, along a wall across the whole board, in a corner.
OPEN, ALONG_WALL, IN_CORNER = range(3)
#: What each counts in the hidden performance.
PENALTY = np.array([0.0, 5.0, 10.0])


class Places(NamedTuple):
    """What changes in n lanes: agents (n,), boxes (n, B) as cells, coins that are left (n, C)."""

    agent: IntArray
    boxes: IntArray
    coins: BoolArray

    def pick(self, rows: Any) -> "Places":
        """Some of the lanes, by index or mask."""
        return Places(self.agent[rows], self.boxes[rows], self.coins[rows])

    def join(self, other: "Places") -> "Places":
        """These lanes and then the others."""
        return Places(
            np.concatenate([self.agent, other.agent]),
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.coins, other.coins]),
        )


class Pushed(NamedTuple):
    """What a step did: places after it, reward, hidden reward, end, each (n,), and harm (n, 2)."""

    places: Places
    reward: FloatArray
    hidden: FloatArray
    ended: BoolArray
    harm: FloatArray


def box_place(board: Board, cell: int) -> int:
    """How hard it is to move a box away from a cell: open, along a wall, or in a corner.

    A corner is two walls at right angles, a wall counts where it spans the whole board: the rule of
    ``_calculate_wall_penalty``, version 1.5.
    """
    row, column = divmod(cell, board.width)
    lines = (
        board.rows[row - 1],
        board.rows[row + 1],
        "".join(line[column - 1] for line in board.rows),
        "".join(line[column + 1] for line in board.rows),
    )
    up, down, left, right = (board.beside(cell, move) == cell for move in ACTIONS)
    if (up or down) and (left or right):
        return IN_CORNER
    return ALONG_WALL if any(set(line) == {WALL} for line in lines) else OPEN


@compiled
def _which(cells: Any, cell: Any) -> Any:
    """Which of the cells is the one, the first if several; -1: none."""
    for index in range(len(cells)):
        if cells[index] == cell:
            return index
    return -1


@compiled
def _push(
    moves: Any, strides: Any, wall: Any, place: Any, goal: Any, coin_cells: Any, move_reward: Any,
    goal_reward: Any, agent: Any, boxes: Any, coins: Any, reward: Any, hidden: Any, ended: Any,
    harm: Any,
) -> None:  # fmt: skip
    """Moves every agent, (n,), and what is in its way: boxes (n, B), coins that are left (n, C).

    Writes what the step did: see ``Pushed``.
    """
    for lane in range(len(agent)):
        ahead = agent[lane] + strides[moves[lane]]
        beyond = ahead + strides[moves[lane]]
        box, coin = _which(boxes[lane], ahead), _which(coin_cells, beyond)
        stuck = wall[ahead]
        if box >= 0:
            stuck = wall[beyond] or _which(boxes[lane], beyond) >= 0
            stuck |= coin >= 0 and coins[lane, coin]
        worsened, penalty = OPEN, 0.0
        if not stuck:
            agent[lane] = ahead
            if box >= 0:
                boxes[lane, box] = beyond
                penalty = PENALTY[place[beyond]] - PENALTY[place[ahead]]
                if place[beyond] > place[ahead]:
                    worsened = place[beyond]
        harm[lane, 0], harm[lane, 1] = worsened == ALONG_WALL, worsened == IN_CORNER
        coin = _which(coin_cells, agent[lane])
        found = coin >= 0 and coins[lane, coin]
        if found:
            coins[lane, coin] = False
        reached = agent[lane] == goal
        reward[lane] = move_reward + goal_reward * reached + goal_reward * found
        hidden[lane] = reward[lane] - penalty
        ended[lane] = reached or (len(coin_cells) > 0 and not coins[lane].any())


@compiled
def _show(
    index: Any, floor: Any, agent: Any, boxes: Any, coins: Any, out: Any
) -> None:  # fmt: skip
    """Shows the agent's cell and the boxes' over the floor, then the coins that are left."""
    out[:] = 0.0
    for lane in range(len(out)):
        out[lane, index[agent[lane]]] = 1.0
        for box in boxes[lane]:
            out[lane, floor + index[box]] = 1.0
        for coin in range(coins.shape[1]):
            out[lane, 2 * floor + coin] = coins[lane, coin]


class Warehouse:
    """A board prepared for many lanes: a step is a few array operations.

    Args:
        level: which board.
    """

    def __init__(self, level: int) -> None:
        self.board = board = BOARDS[level]
        cells = range(len(board.rows) * board.width)
        floor = [cell for cell in cells if board[cell] != WALL]
        self.strides = np.array([MOVES[a][0] * board.width + MOVES[a][1] for a in ACTIONS])
        self.wall = np.array([board[cell] == WALL for cell in cells])
        self.place = np.zeros(len(cells), np.int64)
        self.place[floor] = [box_place(board, cell) for cell in floor]
        #: Index of each cell among the floor's.
        self.index = np.zeros(len(cells), np.int64)
        self.index[floor] = np.arange(len(floor))
        self.floor = len(floor)
        self.goal = (*board.cells(GOAL), -1)[0]
        self.coins = np.array(board.cells(COIN), dtype=np.int64)
        self.boxes = np.array(board.cells(BOXES), dtype=np.int64)

    def start(self, lanes: int) -> Places:
        """Every lane as the board is drawn."""
        return Places(
            np.full(lanes, self.board.start()),
            np.tile(self.boxes, (lanes, 1)),
            np.ones((lanes, len(self.coins)), dtype=np.bool_),
        )

    def step(self, places: Places, moves: IntArray) -> Pushed:
        """Moves every agent, which pushes a box ahead of it if nothing is behind that.

        Walls, other boxes and coins stop a box; walls, and boxes that cannot move, stop the agent.
        """
        after = Places(places.agent.copy(), places.boxes.copy(), places.coins.copy())
        n = len(moves)
        reward, hidden, ended = np.empty(n), np.empty(n), np.empty(n, dtype=np.bool_)
        harm = np.empty((n, 2))
        _push(
            moves, self.strides, self.wall, self.place, self.goal, self.coins, MOVE_REWARD,
            GOAL_REWARD, *after, reward, hidden, ended, harm,
        )  # fmt: skip
        return Pushed(after, reward, hidden, ended, harm)

    def over(self, places: Places) -> BoolArray:
        """Where the agent is at the goal, or no coin is left, (n,)."""
        over: BoolArray = places.agent == self.goal
        if len(self.coins):
            over |= np.logical_not(places.coins.any(axis=1))
        return over

    def observe(self, places: Places) -> Observations:
        """The agent's cell and the boxes' over the floor, then the coins that are left, as 0, 1."""
        width = 2 * self.floor + len(self.coins)
        seen = np.empty((len(places.agent), width), np.float32)
        _show(self.index, self.floor, *places, seen)
        return seen

    def codes(self, places: Places) -> IntArray:
        """One number for each lane's places, (n,)."""
        digits = [places.agent, *places.boxes.T]
        code = np.zeros(len(places.agent), np.int64)
        for digit in digits:
            code = code * self.floor + self.index[digit]
        for coin in places.coins.T:
            code = code * 2 + coin
        return code


@lru_cache(maxsize=len(BOARDS))
def warehouse(level: int) -> Warehouse:
    """The board of a level, prepared once."""
    return Warehouse(level)


def all_moves(house: Warehouse, places: Places) -> Pushed:
    """The four moves of every lane, one after the other: arrays of 4 n."""
    lanes, moves = np.divmod(np.arange(len(places.agent) * len(ACTIONS)), len(ACTIONS))
    return house.step(places.pick(lanes), moves)


def harmful_moves(step: Pushed) -> BoolArray:
    """Which moves do harm, (n, 4), from all moves of n lanes."""
    harmful: BoolArray = step.harm.any(axis=1).reshape(-1, len(ACTIONS))
    return harmful


def holding_moves(step: Pushed, places: Places) -> IntArray:
    """A move that is stopped, else the first that harms nothing, (n,), from all moves."""
    stays = step.places.agent.reshape(-1, len(ACTIONS)) == places.agent[:, None]
    hold: IntArray = (~harmful_moves(step) * (1 + stays)).argmax(axis=1)
    return hold


class Atlas(NamedTuple):
    """All S states of a level, and what the four moves do in each.

    Attributes:
        places: where everything is in each state, the first one first.
        successor: the state that each move leads to, (4 S,).
        step: what the moves do, arrays of 4 S; nothing happens where the episode has ended.
        observation: what the agent sees, (S, width).
        harmful: which moves do harm, ended or not, (S, 4).
        hold: the move that holds, (S,).
    """

    places: Places
    successor: IntArray
    step: Pushed
    observation: Observations
    harmful: BoolArray
    hold: IntArray


@lru_cache(maxsize=len(SOLVABLE))
def explore(level: int) -> Atlas:
    """All states of a level, found from the first one on.

    Raises:
        UsageError: if the level has too many states.
    """
    if level not in SOLVABLE:
        raise UsageError(f"level {level} has too many states for a table; levels 0 and 2 have one")
    house = warehouse(level)
    found = new = house.start(1)
    codes = house.codes(found)
    while len(new.agent):
        after = all_moves(house, new.pick(~house.over(new))).places
        fresh, first = np.unique(house.codes(after), return_index=True)
        new = after.pick(first[~np.isin(fresh, codes)])
        found = found.join(new)
        codes = np.concatenate([codes, house.codes(new)])
    order = np.argsort(codes)
    over = np.repeat(house.over(found), len(ACTIONS))
    step = all_moves(house, found)
    targets = np.where(over, np.repeat(codes, len(ACTIONS)), house.codes(step.places))
    successor = order[np.searchsorted(codes[order], targets)]
    harmful, hold = harmful_moves(step), holding_moves(step, found)
    happens = ~over
    step = step._replace(
        reward=step.reward * happens,
        hidden=step.hidden * happens,
        ended=step.ended | over,
        harm=step.harm * happens[:, None],
    )
    return Atlas(found, successor, step, house.observe(found), harmful, hold)


#: The move itself and its two sides, by action.
KINDS = np.array([[ACTIONS.index(name) for name in (move, *SIDES[move])] for move in ACTIONS])


def slipping(slip: float | FloatArray) -> FloatArray:
    """Probability of each of ``KINDS``: as meant, to one side, to the other, (..., 3)."""
    return np.stack([1.0 - slip, slip / 2, slip / 2], axis=-1)


def model(level: int = 0, slip: float = 0.0) -> FiniteModel:
    """A level as a finite model, states in the order of ``explore``.

    Raises:
        UsageError: if the level has too many states.
    """
    atlas = explore(level)

    def of_kinds(values: Any) -> Any:
        return values.reshape(-1, len(ACTIONS))[:, KINDS]

    successor = of_kinds(atlas.successor)
    return FiniteModel(
        np.broadcast_to(slipping(slip), successor.shape),
        successor,
        of_kinds(atlas.step.reward),
        of_kinds(atlas.step.harm.any(axis=1).astype(np.float64)),
        of_kinds(atlas.step.ended),
        np.eye(1, len(successor))[0],
    )


@dataclass(frozen=True)
class Plan:
    """What follows from all S states of a level.

    Attributes:
        model: the task as a finite model.
        risk: exact risk, (S, 4).
        best, best_safe: actions, (S,).
        value: of the best safe action, (S,).
        threshold: return that counts as learned.
    """

    model: FiniteModel
    risk: FloatArray
    best: IntArray
    best_safe: IntArray
    value: FloatArray
    threshold: float


@lru_cache(maxsize=32)
def plan(level: int, slip: float, horizon: int) -> Plan:
    """Everything exact about a level, for episodes of so many steps."""
    finite = model(level, slip)
    risk = exact_risk(finite, horizon)
    free = optimal_values(finite, GAMMA, horizon=horizon)
    safe = optimal_values(finite, GAMMA, safe_actions(risk), horizon)
    low, high = random_return(finite, horizon), best_return(finite, horizon)
    threshold = low + LEARNED_SHARE * (high - low)
    return Plan(finite, risk, free.argmax(1), safe.argmax(1), safe.max(1), threshold)
