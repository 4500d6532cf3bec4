"""Places on Earth as numbers: a geohash of 52 bits, and the cells that a search must look into.

Question it answers: how can a sorted set, which knows one order only, find what is near? Cut the map (longitude -180 to
180, latitude -85.05 to 85.05, the square of the Mercator projection) into two halves again and again, alternating, and
write down a bit for each cut. After 26 cuts each way a place is a number of 52 bits, which a double holds exactly, and
two places with the same first bits lie in the same cell. So the members of a cell are a range of scores.

    step   1   2   ...   26          a step is two bits: the cell's side becomes half as long
    side   10,000 km     0.3 m       (at the equator)

Near places need not have near numbers, for a cut may run between them. A search therefore takes the cell of its centre,
so large that with its eight neighbours it covers what is wanted, leaves out those that lie outside the bounding box,
and asks each member for its distance. That is on a sphere: `haversine`, up to half a percent off on the real Earth.

The standard geohash text (GEOHASH) cuts latitude -90 to 90 instead, so it is made anew from the decoded place.

What holds, away from the map's edges:

    (1) a place lies in the cell that its number means, so `decode` gives a place of the same number;
    (2) whoever is within a shape has a number within one of the ranges of its `cells`;
    (3) a cell's neighbours touch it, and the map is round.

Redis finds neighbours by carrying through every second bit of a number; here a cell is its column and its row, and the
number is made of them. Source: Redis 8.2.3, whose results this repeats to the last bit, its order of cells included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import asin, cos, isinf, nan, pi, sin, sqrt
from typing import Final, NamedTuple

STEPS: Final = 26
SIDE: Final = 1 << STEPS
MEANINGFUL: Final = 1 << 2 * STEPS
"""Any number is that of some place, but from here on of one that is off the map."""
LONGITUDES: Final = (-180.0, 180.0)
LATITUDES: Final = (-85.05112878, 85.05112878)
POLE_TO_POLE: Final = (-90.0, 90.0)
EARTH_RADIUS_M: Final = 6372797.560856
MERCATOR_M: Final = 20037726.37
"""Half of the map's side."""
ROUNDING: Final = 1.000001
"""More than a distance can be off."""
ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"

Place = tuple[float, float]
"""Longitude and latitude in degrees."""


def encode(place: Place) -> int:
    """The number of a place. O(1)."""
    return Cell.of(place, STEPS).bits


def decode(bits: int) -> Place:
    """The middle of the cell that a number of 52 bits means. O(1)."""
    longitude, latitude = _middle(_gather(bits >> 1), LONGITUDES), _middle(_gather(bits), LATITUDES)
    if 0 <= bits < MEANINGFUL:
        return longitude, latitude
    return max(LONGITUDES[0], min(LONGITUDES[1], longitude)), max(LATITUDES[0], min(LATITUDES[1], latitude))


def _middle(number: int, limits: Place) -> float:
    return (_edge(number, SIDE, limits) + _edge(number + 1, SIDE, limits)) / 2


def _edge(number: int, side: int, limits: Place) -> float:
    """Where the how-manieth of so many parts begins."""
    return limits[0] + number / side * (limits[1] - limits[0])


def text(place: Place) -> bytes:
    """The standard geohash of eleven characters, of which ours can tell the first ten. O(1)."""
    longitude, latitude = place
    bits = _spread(_fraction(latitude, POLE_TO_POLE, STEPS)) | _spread(_fraction(longitude, LONGITUDES, STEPS)) << 1
    return bytes(ALPHABET[bits >> (52 - 5 * at) & 31] for at in range(1, 11)) + b"0"


def distance_m(one: Place, other: Place) -> float:
    """Metres along the great circle, on a sphere. O(1)."""
    return distances_m(one)(other)


def distances_m(centre: Place) -> Callable[[Place], float]:
    """`distance_m` from one place to many: what depends on that one alone is computed once. O(1)."""
    longitude, latitude = map(_radians, centre)
    narrowing = cos(latitude)

    def distance_m(place: Place) -> float:
        half = sin((_radians(place[0]) - longitude) / 2)
        if half == 0.0:
            return _north_south_m(centre[1], place[1])
        north = _radians(place[1])
        rise = sin((north - latitude) / 2)
        root = sqrt(rise * rise + narrowing * cos(north) * half * half)
        return 2.0 * EARTH_RADIUS_M * (asin(root) if root <= 1.0 else nan)

    return distance_m


def _north_south_m(one: float, other: float) -> float:
    return EARTH_RADIUS_M * abs(_radians(other) - _radians(one))


class Shape(NamedTuple):
    """What is searched: everything within half a height and half a width; or, `circular`, a disc."""

    centre: Place
    width_m: float
    height_m: float
    circular: bool

    def ruler(self) -> Callable[[Place], float | None]:
        """Tells how far a place is from the centre, None if it lies outside: prepared for many places. O(1)."""
        measured = distances_m(self.centre)
        longitude, latitude = self.centre
        most_aside, most_up = self.width_m / 2, self.height_m / 2
        surely_outside = _degrees(most_aside / EARTH_RADIUS_M) * ROUNDING

        def within_disc(place: Place) -> float | None:
            if abs(place[1] - latitude) > surely_outside:
                return None
            found = measured(place)
            return found if found <= most_aside else None

        def within_box(place: Place) -> float | None:
            if _north_south_m(place[1], latitude) > most_up:
                return None
            return None if distance_m(place, (longitude, place[1])) > most_aside else measured(place)

        return within_disc if self.circular else within_box

    def bounds(self) -> tuple[float, float, float, float]:
        """The box around it: lowest longitude and latitude, highest longitude and latitude. O(1)."""
        longitude, latitude = self.centre
        up = _degrees(self.height_m / 2 / EARTH_RADIUS_M)
        nearer_pole = latitude - up if latitude < 0 else latitude + up
        narrowing = nan if isinf(nearer_pole) else cos(_radians(nearer_pole))
        aside = _degrees(self.width_m / 2 / EARTH_RADIUS_M / narrowing)
        return longitude - aside, latitude - up, longitude + aside, latitude + up

    def _reach_m(self) -> float:
        if self.circular:
            return self.width_m / 2
        return sqrt((self.width_m / 2) ** 2 + (self.height_m / 2) ** 2)

    def cells(self) -> Iterator[tuple[int, int]]:
        """The ranges of numbers, from and up to, among which the members are to be looked for: at most nine. O(1)."""
        box = self.bounds()
        step = _steps(self._reach_m(), self.centre[1])
        cell = Cell.of(self.centre, step)
        if step > 1 and not cell.neighbours_cover(box):
            step -= 1
            cell = Cell.of(self.centre, step)

        area = cell.area()
        most_west, most_east = -(area[0] >= box[0]), int(area[2] <= box[2])
        most_south, most_north = -(area[1] >= box[1]), int(area[3] <= box[3])
        seen = None
        for east, north in NEIGHBOURS:
            if step > 1 and not (most_west <= east <= most_east and most_south <= north <= most_north):
                continue
            found = cell.moved(east, north) if east or north else cell
            if found != seen:  # where the cells are huge, a neighbour may be the same from both sides
                yield found.bits << (52 - 2 * step), (found.bits + 1) << (52 - 2 * step)
            seen = found


NEIGHBOURS: Final = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""(east, north) of each cell to look into, in Redis's order, which is that of unsorted results."""


class Cell(NamedTuple):
    """A cell of the map after `step` cuts each way: the how-manieth it is from the west and from the south."""

    x: int
    y: int
    step: int

    @classmethod
    def of(cls, place: Place, step: int) -> Cell:
        """The cell that a place is in. O(1)."""
        return cls(_fraction(place[0], LONGITUDES, step), _fraction(place[1], LATITUDES, step), step)

    @property
    def bits(self) -> int:
        """Its number: a bit of the latitude, a bit of the longitude, and so on, from below. O(1)."""
        return _spread(self.y) | _spread(self.x) << 1

    def moved(self, east: int, north: int) -> Cell:
        """A neighbour; the map is round, both ways. (The last longitude and latitude are a cell of their own.) O(1)."""
        side = 1 << self.step
        x = (self.x + east) % side if east else self.x
        return Cell(x, (self.y + north) % side if north else self.y, self.step)

    def area(self) -> tuple[float, float, float, float]:
        """Lowest longitude and latitude, highest longitude and latitude. O(1)."""
        side = 1 << self.step
        return (
            _edge(self.x, side, LONGITUDES),
            _edge(self.y, side, LATITUDES),
            _edge(self.x + 1, side, LONGITUDES),
            _edge(self.y + 1, side, LATITUDES),
        )

    def neighbours_cover(self, box: tuple[float, float, float, float]) -> bool:
        """Whether a box ends within the neighbours. O(1)."""
        return not (
            self.moved(0, 1).area()[3] < box[3]
            or self.moved(0, -1).area()[1] > box[1]
            or self.moved(1, 0).area()[2] < box[2]
            or self.moved(-1, 0).area()[0] > box[0]
        )


def _steps(reach_m: float, latitude: float) -> int:
    """How many cuts leave cells of at least a certain side; towards the poles they become narrow."""
    if reach_m == 0:
        return STEPS
    step = 1
    while reach_m < MERCATOR_M:
        reach_m *= 2
        step += 1
    step -= 2
    if abs(latitude) > 66:
        step -= 2 if abs(latitude) > 80 else 1
    return max(1, min(STEPS, step))


def _fraction(value: float, limits: Place, step: int) -> int:
    return int((value - limits[0]) / (limits[1] - limits[0]) * (1 << step))


_STAGES: Final = (
    (1, 0x5555555555555555),
    (2, 0x3333333333333333),
    (4, 0x0F0F0F0F0F0F0F0F),
    (8, 0x00FF00FF00FF00FF),
    (16, 0x0000FFFF0000FFFF),
)
"""A mask that keeps groups of so many bits, each followed by as many zeros."""


def _spread(number: int) -> int:
    """Put a zero after each bit of a 32 bit number."""
    for distance, mask in reversed(_STAGES):
        number = (number | number << distance) & mask
    return number


_FOUR: Final = [sum((byte >> 2 * at & 1) << at for at in range(4)) for byte in range(256)]
_EIGHT: Final = bytes(low | high << 4 for high in _FOUR for low in _FOUR)
"""Every second bit of each number of 16 bits."""


def _gather(number: int) -> int:
    """Take every second bit of a 64 bit number, the lowest first: the inverse of `_spread`."""
    low = _EIGHT[number & 0xFFFF] | _EIGHT[number >> 16 & 0xFFFF] << 8
    return low | _EIGHT[number >> 32 & 0xFFFF] << 16 | _EIGHT[number >> 48 & 0xFFFF] << 24


def _radians(degrees: float) -> float:
    return degrees * (pi / 180.0)


def _degrees(radians: float) -> float:
    return radians / (pi / 180.0)
