"""The gnuplot script of a picture."""

import math

from study.looks import looks
from study.results import label

WIDTH, HEIGHT = 720, 480  # of the SVG; the PNG has SCALE times as many dots
SCALE = 2.5
POINT = 3 / 4  # of a dot: the SVG counts letters in dots, the PNG in points
MARKS = 9  # on a curve
COLUMNS = 4  # of the legend
HEAD = """\
# Draws {name}.svg and {name}.png: gnuplot {name}.gp
set border 15 lw 0.8 lc rgb "#404040"
set grid ytics lw 0.6 lc rgb "#e4e4e4"
set tics nomirror scale 0.6
set title "Training loss on {task}"
set xlabel "Step" offset 0,0.3
set ylabel "Training loss"
set xrange [0:{steps}]
set yrange [{bottom:.4g}:{top:.4g}]
set style textbox opaque noborder fillcolor rgb "#ffffff" margins 0.3,0.1
set x2label "Epoch" offset 0,-0.6
set link x2 via x/{per_epoch:.10g} inverse x*{per_epoch:.10g}
set x2tics {epoch_tics}
set key bmargin center horizontal Left reverse maxcols {columns} samplen 3.5 spacing 1.1 \
    width -1 height 0.4 font ",11"
data = "{name}.dat"
"""
SVG = """\
set terminal svg size {width},{height} font "Helvetica,13" background "white"
set output "{name}.svg"
"""
PNG = """\
set terminal pngcairo size {big_width:.0f},{big_height:.0f} font "Helvetica,13" \\
    fontscale {font_scale} linewidth {scale} pointscale {scale}
set output "{name}.png"
replot
"""


def span(curves):
    """The vertical axis: from zero, unless that leaves most of the picture empty, and up to where
    the smoothed curves fit; their first steps may not."""
    late = [value for curve in curves for step, value in curve.smooth
            if step > curve.steps / 50 and not math.isnan(value)]
    low, high = min(late, default=0.0), max(late, default=0.0)
    if low > 0.6 * high:
        room = max(high - low, 0.05 * high)
        return low - 0.3 * room, high + 0.3 * room
    return 0.0, 1.12 * high or 1.0


def epoch_tics(epochs):
    for every in 1, 2, 5, 10, 20, 50, 100:
        if epochs / every <= 10:
            return every
    return math.ceil(epochs / 10)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parts_of(curve, look, n, offset):
    """The layers of a curve: what was measured, the smooth line, its marks, rings at its flips, and
    its line in the legend."""
    line = f'lc rgb "{look.colour}"'
    dash = look.dash
    smooth = f'data index {quoted(curve.key + " smooth")}'
    every = max(1, len(curve.smooth) // MARKS)
    faint = look.colour.replace("#", "#D2")
    layers = {"raw": f'data index {quoted(curve.key + " raw")} with lines notitle lw 0.5 '
                     f'lc rgb "{faint}"',
              "smooth": f"{smooth} with lines notitle lw {look.width} dt {dash} {line}",
              "key": f"keyentry with {'linespoints' if look.mark else 'lines'} "
                     f"lw {look.width} dt {dash} {line} "
                     + (f"pt {look.mark} ps 0.75 " if look.mark else "")
                     + f"title {quoted(label(curve.key))}"}
    if look.mark:
        first = (every * (offset + 1)) // (n + 1)
        layers["marks"] = (f"{smooth} every {every}::{first} with points notitle "
                           f"pt {look.mark} ps 0.75 lw 1.2 {line}")
    if curve.flips:
        layers["rings"] = (f'data index {quoted(curve.key + " flip")} with points notitle pt 6 '
                           f"ps 1.7 lw 2 {line}")
    return layers


def flip_lines(curves):
    """A dashed line at each flip, and what it means beside the first that has room for it."""
    steps = max(curve.steps for curve in curves)
    flips = sorted({step for curve in curves for step, _ in curve.flips})
    lines = [f'set arrow {n} from {step}, graph 0 to {step}, graph 1 nohead front lw 0.9 '
             'dt (6,4) lc rgb "#606060"' for n, step in enumerate(flips, 1)]
    roomy = [step for step in flips if step > steps / 25] or flips[-1:]
    if roomy:
        lines.append(f'set label 1 "flip: from here on\\nfewer parameters train" at {roomy[0]}, '
                     'graph 0.96 left boxed offset 0.8,0 front font ",11" tc rgb "#404040"')
    return lines


def script(picture):
    curves = picture.curves
    steps = max(curve.steps for curve in curves)
    per_epoch = curves[0].per_epoch
    look = looks([curve.key for curve in curves])
    parts = [parts_of(curve, look[curve.key], len(curves), n) for n, curve in enumerate(curves)]
    layers = [part[name] for name in ("raw", "smooth", "marks", "rings", "key") for part in parts
              if name in part]
    bottom, top = span(curves)
    names = {"name": picture.name, "task": picture.task.name, "steps": steps,
             "bottom": bottom, "top": top, "per_epoch": per_epoch,
             "epoch_tics": epoch_tics(steps / per_epoch), "columns": COLUMNS, "scale": SCALE,
             "font_scale": SCALE * POINT, "width": WIDTH, "height": HEIGHT,
             "big_width": WIDTH * SCALE, "big_height": HEIGHT * SCALE}
    return "\n".join([HEAD.format(**names).rstrip("\n"), *flip_lines(curves),
                      SVG.format(**names) + "plot " + ", \\\n    ".join(layers),
                      PNG.format(**names)])
