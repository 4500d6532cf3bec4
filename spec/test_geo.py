"""Places: the geohash against its definition, and searches against looking at everybody."""

from __future__ import annotations

from math import isclose

from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.parser import encode_request
from mini_redis.structures import geohash
from mini_redis.structures.geohash import LATITUDES, LONGITUDES, Cell, Shape

PLACES = st.tuples(st.floats(*LONGITUDES), st.floats(*LATITUDES))
NOT_AT_THE_EDGE = st.tuples(st.floats(-179.9, 179.9), st.floats(-85, 85))


@given(NOT_AT_THE_EDGE)
def test_a_place_comes_back_within_its_cell(place: tuple[float, float]) -> None:
    bits = geohash.encode(place)
    again = geohash.decode(bits)
    assert abs(again[0] - place[0]) <= 360 / 2**27 * 1.001 and abs(again[1] - place[1]) <= 171 / 2**27
    assert geohash.encode(again) == bits


@given(NOT_AT_THE_EDGE)
def test_the_number_is_made_of_cuts(place: tuple[float, float]) -> None:
    """The definition: halve, write down in which half, take turns."""
    limits = [list(LONGITUDES), list(LATITUDES)]
    bits = 0
    for cut in range(2 * geohash.STEPS):
        low, high = limits[cut % 2]
        middle = (low + high) / 2
        upper = place[cut % 2] >= middle
        limits[cut % 2][not upper] = middle
        bits = bits << 1 | upper
    if bits != geohash.encode(place):  # on the line between two cells, rounding decides
        assert geohash.distance_m(geohash.decode(bits), place) < 1


@given(NOT_AT_THE_EDGE)
def test_the_text_is_made_of_cuts_from_pole_to_pole(place: tuple[float, float]) -> None:
    """The public definition: five cuts a character, longitude first, latitude between the poles."""
    limits = [list(LONGITUDES), list(geohash.POLE_TO_POLE)]
    bits = 0
    for cut in range(50):
        low, high = limits[cut % 2]
        upper = place[cut % 2] >= (low + high) / 2
        limits[cut % 2][not upper] = (low + high) / 2
        bits = bits << 1 | upper
    expected = bytes(geohash.ALPHABET[bits >> shift & 31] for shift in range(45, -1, -5))
    middles = [(low + high) / 2 for low, high in limits]
    if geohash.text(place)[:10] != expected:  # on the line between two cells, rounding decides
        assert min(abs(place[axis] - edge) for axis in (0, 1) for edge in limits[axis]) < 1e-9, middles


@given(
    st.tuples(st.floats(-30, 30), st.floats(-60, 60)),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.floats(1, 1_000_000),
    st.floats(1, 1_000_000),
    st.booleans(),
)
def test_who_is_within_a_shape_is_in_one_of_its_cells(
    centre: tuple[float, float], away: tuple[float, float], width: float, height: float, circular: bool
) -> None:
    shape = Shape(centre, width, width if circular else height, circular)
    bits = geohash.encode((centre[0] + away[0], centre[1] + away[1]))
    ranges = list(shape.cells())
    assert 1 <= len(ranges) <= 9
    place = geohash.decode(bits)
    measured = shape.ruler()(place)
    if measured is not None:
        assert any(low <= bits < high for low, high in ranges)
    if circular:  # to the last bit, although most of those outside are not measured
        distance = geohash.distance_m(centre, place)
        assert measured == (distance if distance <= width / 2 else None)


def test_known_texts_and_distances() -> None:
    paris, london = (2.3522, 48.8566), (-0.1276, 51.5072)
    assert geohash.text(paris)[:6] == b"u09tvw"
    assert isclose(geohash.distance_m(paris, london), 343_700, rel_tol=0.01)
    assert geohash.distance_m(paris, paris) == 0


@given(PLACES, PLACES)
def test_distance_is_the_same_both_ways(one: tuple[float, float], other: tuple[float, float]) -> None:
    there, back = geohash.distance_m(one, other), geohash.distance_m(other, one)
    assert isclose(there, back, rel_tol=1e-9, abs_tol=1e-6) or there != there


@given(st.integers(0, (1 << 26) - 1), st.integers(0, (1 << 26) - 1))
def test_a_cell_s_neighbours_touch_it(x: int, y: int) -> None:
    cell = Cell(x, y, 26)
    assert cell.moved(1, 0).moved(-1, 0) == cell == cell.moved(0, 1).moved(0, -1)
    if x < (1 << 26) - 1:
        assert isclose(cell.area()[2], cell.moved(1, 0).area()[0], abs_tol=1e-9)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-30, 30), st.floats(-60, 60)), min_size=1, max_size=40),
    st.tuples(st.floats(-25, 25), st.floats(-55, 55)),
    st.floats(1, 2_000_000),
    st.floats(1, 2_000_000),
    st.booleans(),
)
def test_a_search_finds_whoever_is_there(
    places: list[tuple[float, float]], centre: tuple[float, float], width: float, height: float, circular: bool
) -> None:
    """Against a walk over all members, away from poles and date line, where the boxes of Redis are exact enough."""
    a = InProcess().connect()
    for number, place in enumerate(places):
        a.command("GEOADD", "g", repr(place[0]), repr(place[1]), number)
    by = ["BYRADIUS", repr(width / 2)] if circular else ["BYBOX", repr(width), repr(height)]
    reply = a.command("GEOSEARCH", "g", "FROMLONLAT", repr(centre[0]), repr(centre[1]), *by, "m", "ASC")
    found = [int(number) for number in reply.split(b"\r\n")[2:-1:2]]

    shape = Shape(centre, width, width if circular else height, circular)
    decoded = [geohash.decode(geohash.encode(place)) for place in places]
    measured = shape.ruler()
    near = {number: measured(place) for number, place in enumerate(decoded)}
    assert sorted(found) == [number for number, distance in near.items() if distance is not None]
    assert [near[number] for number in found] == sorted(d for d in near.values() if d is not None)


def test_replicas_are_told_scores() -> None:
    node = InProcess(logging=True)
    a = node.connect()
    a.command("GEOADD", "g", "NX", "CH", "13.361389", "38.115556", "Palermo")
    assert node.log.endswith(encode_request([b"zadd", b"g", b"NX", b"CH", b"3479099956230698", b"Palermo"]))
