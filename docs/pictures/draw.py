#!/usr/bin/env python3
"""Draws the diagrams of the documentation: an SVG for each picture that is described in patterns.py.

draw.py            writes them
draw.py --check    fails if one of them is not what would be written, or is in no page with its description

Either fails if a text overlaps anything, or a line crosses a box that it does not belong to.
"""

import sys
from dataclasses import dataclass, field
from html import escape
from itertools import combinations
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MARGIN = 12
HEAD = 9
# Height of a line of text in a box, and of its letters, with the first line larger.
SIZES = (15, 13)

STYLE = """\
    text { fill: #24292f } .kind { font-weight: bold } .note { fill: #57606a }
    .box, .frame { fill: none; stroke: #57606a; stroke-width: 1.5 } .frame { stroke-width: 1 }
    .message { stroke: #0969da; stroke-width: 2; fill: none } .message.head { fill: #0969da; stroke: none }
    .request { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none }
    .request.head { fill: #57606a; stroke: none }
    .cut { stroke: #cf222e; stroke-width: 2.5 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .note { fill: #9198a1 } .box, .frame, .request { stroke: #8b949e }
      .message { stroke: #58a6ff } .message.head { fill: #58a6ff } .request.head { fill: #8b949e }
      .cut { stroke: #ff7b72 }
    }"""


@dataclass(frozen=True)
class Rect:
    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self):
        return ((self.left + self.right) / 2, (self.top + self.bottom) / 2)

    def grown(self, by):
        return Rect(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def overlaps(self, other):
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def crossing(self, start, end):
        """The parts of a line at which it enters and leaves, from 0 to 1; None if it stays outside."""
        enters, leaves = 0.0, 1.0
        for a, b, low, high in ((start[0], end[0], self.left, self.right), (start[1], end[1], self.top, self.bottom)):
            if a == b:
                if not low < a < high:
                    return None
                continue
            first, last = sorted(((low - a) / (b - a), (high - a) / (b - a)))
            enters, leaves = max(enters, first), min(leaves, last)
        return (enters, leaves) if enters < leaves else None

    def sides(self):
        corners = [(self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)]
        return zip(corners, corners[1:] + corners[:1])


def width(text, size):
    """No less than the text takes in any usual font without serifs."""
    narrow, wide = " ilj.,:;'|()!\"/", "mwMW—@"
    return size * sum(
        0.4 if c in narrow else 0.95 if c in wide else 0.75 if c.isupper() else 0.64 for c in text
    )


@dataclass
class Picture:
    """A socket is a box, a program a frame, and a message an arrow; a request for messages is a dashed arrow."""

    name: str
    title: str
    description: str
    boxes: list = field(default_factory=list)
    frames: list = field(default_factory=list)
    lines: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    svg: list = field(default_factory=list)

    def box(self, x, y, *lines, w=0):
        """A socket whose centre is at (x, y): its kind, and notes on it."""
        sizes = [SIZES[0]] + [SIZES[1]] * (len(lines) - 1)
        w = max([w, 64] + [width(line, size) + 20 for line, size in zip(lines, sizes)])
        h = 18 * len(lines) + 16
        rect = Rect(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        self.boxes.append(rect)
        self.svg.append(element("rect", "box", x=rect.left, y=rect.top, width=w, height=h, rx=6))
        for number, (line, size) in enumerate(zip(lines, sizes)):
            self.text(x, rect.top + 23 + 18 * number, line, size, "note" if number else "kind", own=rect)
        return rect

    def frame(self, *inside, label, room=14, beside=False):
        """A program around its sockets, with its name at the top, or beside it where arrows come in at the top."""
        head = 0 if beside else 16
        left, top = min(it.left for it in inside) - room, min(it.top for it in inside) - room - head
        right, bottom = max(it.right for it in inside) + room, max(it.bottom for it in inside) + room
        self.frames.append(Rect(left, top, right, bottom))
        self.svg.append(element("rect", "frame", x=left, y=top, width=right - left, height=bottom - top, rx=10))
        if beside:
            self.text(left - 8, (top + bottom) / 2 + 5, label, 13, "note", "end")
        else:
            self.text(left + 10, top + 18, label, 13, "note", "start")

    def arrow(
        self, source, target, label="", *, kind="message", x=None, y=None, shift=0, both=False, part=0.5, side=1, cut=False
    ):
        """An arrow from box to box: from centre to centre, or vertical at x, or horizontal at y, or shifted to its
        left. Its label is beside the given part of it: to the right or above, on the other side if `side` is -1."""
        start, end = source.centre, target.centre
        if x is not None:
            start, end = (x, start[1]), (x, end[1])
        if y is not None:
            start, end = (start[0], y), (end[0], y)
        if shift:
            toward = direction(start, end)
            start, end = (moved(it, (toward[1], -toward[0]), shift) for it in (start, end))
        leaves, enters = source.crossing(start, end)[1], target.crossing(start, end)[0]
        start, end = between(start, end, leaves), between(start, end, enters)
        toward = direction(start, end)
        self.lines.append((start, end, (source, target)))
        if cut:
            end = between(start, end, 0.6)
        first = moved(start, toward, HEAD - 1 if both else 0)
        last = end if cut else moved(end, toward, 1 - HEAD)
        self.svg.append(element("path", kind, d=f"M{point(first)} L{point(last)}"))
        if cut:
            (a, b), r = end, 7
            for rise in (-r, r):
                self.svg.append(element("path", "cut", d=f"M{point((a - r, b - rise))} L{point((a + r, b + rise))}"))
        else:
            self.head(end, toward, kind)
        if both:
            self.head(start, (-toward[0], -toward[1]), kind)
        if label:
            a, b = between(start, self.lines[-1][1], part)
            if abs(toward[0]) > abs(toward[1]) * 2:
                slope = abs(toward[1] / toward[0]) * width(label, 13) / 2
                self.text(a, b - 8 - slope if side > 0 else b + 17 + slope, label, 13, "note")
            else:
                slope = abs(toward[0] / toward[1]) * 8
                self.text(a + side * (9 + slope), b + 5, label, 13, "note", "start" if side > 0 else "end")

    def head(self, tip, toward, kind):
        back, half = moved(tip, toward, -HEAD), HEAD * 0.45
        left = (back[0] - toward[1] * half, back[1] + toward[0] * half)
        right = (back[0] + toward[1] * half, back[1] - toward[0] * half)
        self.svg.append(element("path", f"{kind} head", d=f"M{point(tip)} L{point(left)} L{point(right)} Z"))

    def legend(self, x, y, **kinds):
        """Says which kind of arrow is which, in a row that begins at (x, y)."""
        for kind, text in kinds.items():
            self.svg.append(element("path", kind, d=f"M{point((x, y))} L{point((x + 30, y))}"))
            self.head((x + 36, y), (1, 0), kind)
            self.note(x + 44, y + 5, text)
            x += 44 + width(text, 13) + 30

    def note(self, x, y, text, anchor="start"):
        self.text(x, y, text, 13, "note", anchor)

    def text(self, x, y, text, size, css, anchor="middle", own=None):
        w = width(text, size)
        left = {"start": x, "middle": x - w / 2, "end": x - w}[anchor]
        self.texts.append((text, Rect(left, y - size * 0.8, left + w, y + size * 0.25), own))
        extra = {} if anchor == "start" else {"text-anchor": anchor}
        self.svg.append(element("text", css, escape(text), x=x, y=y, **{"font-size": size}, **extra))

    def check(self):
        for (one, a, _), (other, b, _) in combinations(self.texts, 2):
            self.must(not a.overlaps(b), f"'{one}' overlaps '{other}'")
        for text, rect, own in self.texts:
            self.must(all(box is own or not rect.overlaps(box) for box in self.boxes), f"'{text}' overlaps a box")
            edges = [(a, b) for a, b, _ in self.lines] + [side for frame in self.frames for side in frame.sides()]
            self.must(not any(rect.crossing(*edge) for edge in edges), f"'{text}' overlaps a line")
        for start, end, ends in self.lines:
            others = (box for box in self.boxes if box not in ends)
            self.must(not any(box.crossing(start, end) for box in others), "a line crosses a box")
        for a, b in combinations(self.boxes, 2):
            self.must(not a.overlaps(b), "two boxes overlap")

    def must(self, condition, text):
        if not condition:
            sys.exit(f"{self.name}: {text}")

    def render(self):
        self.check()
        rects = self.boxes + self.frames + [rect for _, rect, _ in self.texts]
        left, top = min(it.left for it in rects) - MARGIN, min(it.top for it in rects) - MARGIN
        right, bottom = max(it.right for it in rects) + MARGIN, max(it.bottom for it in rects) + MARGIN
        size = f'width="{number(right - left)}" height="{number(bottom - top)}"'
        view = " ".join(map(number, (left, top, right - left, bottom - top)))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="{view}" role="img" aria-labelledby="t d"'
            f' font-family="sans-serif">\n  <title id="t">{escape(self.title)}</title>\n'
            f'  <desc id="d">{escape(self.description)}</desc>\n'
            f"  <style>\n{STYLE}\n  </style>\n" + "".join(f"  {it}\n" for it in self.svg) + "</svg>\n"
        )


def element(name, css, inner=None, **attributes):
    parts = [f'<{name} class="{css}"'] + [f'{key}="{number(value)}"' for key, value in attributes.items()]
    return " ".join(parts) + ("/>" if inner is None else f">{inner}</{name}>")


def number(value):
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def point(at):
    return f"{number(at[0])} {number(at[1])}"


def direction(start, end):
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    return ((end[0] - start[0]) / length, (end[1] - start[1]) / length)


def between(start, end, part):
    return (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part)


def moved(at, toward, by):
    return (at[0] + toward[0] * by, at[1] + toward[1] * by)


def main(arguments):
    # Not above: patterns.py imports this file.
    from patterns import PICTURES

    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    drawn = {picture.name: picture for picture in (make() for make in PICTURES)}
    for picture in drawn.values():
        path, text = FOLDER / f"{picture.name}.svg", picture.render()
        if not arguments:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f"{path.name} is not what is described: docs/pictures/draw.py draws it again")
    if arguments:
        check_pages(drawn)


def check_pages(drawn):
    pages = " ".join(" ".join(page.read_text() for page in FOLDER.parent.glob("*.md")).split())
    for picture in drawn.values():
        link = f"![{picture.description}](pictures/{picture.name}.svg)"
        if link not in pages:
            sys.exit(f"no page of docs/ has {link}")
    for path in FOLDER.glob("*.svg"):
        if path.stem not in drawn:
            sys.exit(f"{path.name} is not described in patterns.py")


if __name__ == "__main__":
    main(sys.argv[1:])
