"""LOLWUT: which version is this? A picture, and the version below it.

Since Redis 5 some versions have shown a piece of generative art here. These pictures are our own, drawn by `ctx.rng`:
the same seed draws the same one. VERSION chooses among them, with the arguments that Redis's have: 5 takes columns,
tiles in a row and tiles in a column, 6 columns and rows.

A braille character holds 2 by 4 dots, which gives a terminal enough of them for a line to be a line.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.registry import FAST, READONLY, command
from mini_redis.resp.reply import Reply, Verbatim
from mini_redis.server.version import REDIS_VERSION

if TYPE_CHECKING:
    from mini_redis.server.context import Context

_BRAILLE: Final = 0x2800
_DOT_BITS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_WIDEST: Final = 1000
_MOST_TILES: Final = 200


@command("LOLWUT [VERSION version]", flags=READONLY | FAST, since="5.0.0", group="server")
def lolwut(ctx: Context, argv: list[bytes]) -> Reply:
    """Show a picture drawn by chance, and the server's version.

    VERSION chooses the picture of another major version; the words after it are that picture's size. A version that has
    no picture shows the version alone. Errors: the version or a size is not an integer.
    """
    version, sizes = 8, []
    if len(argv) >= 3 and argv[1].lower() == b"version":
        version = integer(argv[2]) & 0xFFFFFFFF
        sizes = argv[3:]

    match version:
        case 5:
            picture = tiles(ctx.rng, *_sizes(sizes, (66, _WIDEST), (8, _MOST_TILES), (12, _MOST_TILES)))
        case 6:
            picture = mountains(ctx.rng, *_sizes(sizes, (80, _WIDEST), (20, _WIDEST)))
        case 8:
            picture = flower(ctx.rng)
        case _:
            picture = ""
    return Verbatim(f"{picture}Redis ver. {REDIS_VERSION}\n".encode())


def _sizes(words: list[bytes], *defaults_and_limits: tuple[int, int]) -> list[int]:
    """Sizes as far as they are given, from 1 to their limit."""
    given = [integer(word) for word in words[: len(defaults_and_limits)]]
    defaults = [default for default, _ in defaults_and_limits]
    sizes = given + defaults[len(given) :]
    return [min(max(size, 1), limit) for size, (_, limit) in zip(sizes, defaults_and_limits, strict=True)]


class Canvas:
    """A field of dots, told as lines of braille characters."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[0] * ((width + 1) // 2) for _ in range((height + 3) // 4)]

    def dot(self, x: int, y: int) -> None:
        """Set a dot; outside of the field nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._cells[y // 4][x // 2] |= _DOT_BITS[y % 4][x % 2]

    def line(self, x: int, y: int, to_x: int, to_y: int) -> None:
        """Set the dots between two points, both included."""
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(steps + 1):
            self.dot(round(x + (to_x - x) * step / steps), round(y + (to_y - y) * step / steps))

    def __str__(self) -> str:
        return "".join("".join(chr(_BRAILLE + bits) for bits in row) + "\n" for row in self._cells)


def tiles(rng: Random, columns: int, in_row: int, in_column: int) -> str:
    """Every tile has one of two diagonals: the one at the top, either at the bottom."""
    width = columns * 2
    margin = 2 if columns > 4 else 0
    side = (width - 2 * margin) // in_row
    canvas = Canvas(width, side * in_column + 2 * margin)
    for row in range(in_column):
        chance = row / max(1, in_column - 1) / 2
        for column in range(in_row):
            left, top = margin + column * side, margin + row * side
            if rng.random() < chance:
                canvas.line(left, top, left + side, top + side)
            else:
                canvas.line(left, top + side, left + side, top)
    return f"{canvas}\nOne rule at the top, none at the bottom: it takes no more to build a maze. "


def mountains(rng: Random, columns: int, rows: int) -> str:
    """Three ridges one behind the other, a sky with stars above them."""
    picture = [[rng.choice(".'*") if rng.random() < 0.03 else " " for _ in range(columns)] for _ in range(rows)]
    for depth, shade in enumerate("░▒█"):
        ridge = _ridge(rng, columns, peak_every=8 << depth)
        foot, height = rows * (0.45 + 0.2 * depth), rows * (0.24 - 0.06 * depth)
        for column, level in enumerate(ridge):
            for row in range(max(0, round(foot - level * height)), rows):
                picture[row][column] = shade
    return "".join("".join(row) + "\n" for row in picture) + "\nAnother random walk in the mountains. "


def _ridge(rng: Random, columns: int, peak_every: int) -> list[float]:
    """Heights from about -1 to 1: the middle between two known points, moved by half as much at each halving."""
    span = peak_every
    heights = [rng.uniform(-1, 1) for _ in range(columns // span * span + 2 * span)]
    amount = 0.6
    while span > 1:
        for left in range(0, len(heights) - span, span):
            middle = (heights[left] + heights[left + span]) / 2
            heights[left + span // 2] = middle + rng.uniform(-amount, amount)
        span //= 2
        amount /= 2
    return heights[:columns]


def flower(rng: Random, columns: int = 44, rows: int = 22) -> str:
    """A walk from the middle outwards, seen through a kaleidoscope of eight mirrors."""
    canvas = Canvas(columns * 2, rows * 4)
    center = rows * 2
    for _ in range(5):
        x, y = rng.uniform(0, center / 3), 0.0
        drift_x, drift_y = rng.uniform(-1, 1), rng.uniform(0, 1)
        for _ in range(4 * center):
            drift_x += rng.uniform(-0.35, 0.35)
            drift_y += rng.uniform(-0.35, 0.35)
            speed = max(1.0, abs(drift_x), abs(drift_y))
            drift_x, drift_y = drift_x / speed, drift_y / speed
            x, y = x + drift_x, y + drift_y
            if x * x + y * y > center * center:
                break
            for a, b in ((round(x), round(y)), (round(y), round(x))):
                for mirrored_a in (a, -a):
                    for mirrored_b in (b, -b):
                        canvas.dot(columns + mirrored_a, center + mirrored_b)
    return f"{canvas}\nFive lines, eight mirrors. "
