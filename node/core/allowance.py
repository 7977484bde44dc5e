"""So much in so long, and no more."""


class Allowance:
    """What is not taken of one span of time is not added to the next."""

    def __init__(self, most: int, per_s: float) -> None:
        self._most, self._per_s = most, per_s
        self._left = most
        self._until_s = -1.0

    def take(self, count: int, now_s: float) -> int:
        """How much of `count` is allowed now."""
        if now_s >= self._until_s:
            self._left, self._until_s = self._most, now_s + self._per_s
        allowed = min(count, self._left)
        self._left -= allowed
        return allowed
