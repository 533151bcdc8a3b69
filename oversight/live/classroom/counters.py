"""What a class sees counted, and its course over time."""

from typing import Any

from looplab.oversight.record import Record

#: What is counted of each lane; as the engine's own totals, ``tasks`` being its successes.
COUNTED = (
    "steps", "episodes", "tasks", "reward", "violations", "human_seconds", "reviews",
    "interventions",
)  # fmt: skip
#: What charts show of it.
CHARTED = ("violations", "human_seconds", "tasks", "reward")
#: Points of a chart at most; more are thinned out.
MOST_POINTS = 240


class Counters:
    """Counts of one lane, from the records of its steps."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = dict.fromkeys(COUNTED, 0)

    def __getitem__(self, name: str) -> float:
        return self._counts[name]

    def add(self, record: Record) -> None:
        """Counts a step of one lane."""
        counts = self._counts
        counts["steps"] += 1
        counts["episodes"] += int(record.done[0])
        counts["tasks"] += int(record.done[0] and record.success[0] == 1.0)
        counts["reward"] += float(record.reward[0])
        counts["violations"] += int(record.cost[0] > 0.0)
        counts["human_seconds"] += float(record.seconds[0])
        counts["reviews"] += int(record.reviews[0])
        counts["interventions"] += int(record.intervened[0])

    def shown(self) -> dict[str, float]:
        """Every count, rounded to what a page shows."""
        return {name: round(value, 2) for name, value in self._counts.items()}


class Course:
    """Counts of several lanes over time, thinned out as it grows.

    Args:
        lanes: number of lanes.
    """

    def __init__(self, lanes: int) -> None:
        self._every = 1
        self._times: list[int] = [0]
        self._values: list[dict[str, list[float]]] = [
            {name: [0] for name in CHARTED} for _ in range(lanes)
        ]

    def add(self, time: int, counters: list[Counters]) -> None:
        """Notes the counts at a time, if it is one of those that are kept."""
        if time % self._every:
            return
        self._times.append(time)
        for lane, counts in zip(self._values, counters, strict=True):
            for name, values in lane.items():
                values.append(round(counts[name], 2))
        if len(self._times) > MOST_POINTS:
            self._every *= 2
            kept = [place for place, at in enumerate(self._times) if at % self._every == 0]
            self._times = [self._times[place] for place in kept]
            for lane in self._values:
                for name, values in lane.items():
                    lane[name] = [values[place] for place in kept]

    def shown(self) -> dict[str, Any]:
        """Times, and for each lane the values of every chart."""
        return {
            "times": list(self._times),
            "lanes": [{name: list(found) for name, found in lane.items()} for lane in self._values],
        }
