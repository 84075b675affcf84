"""Draws the loss curve and the accuracy table of a run as SVG, by hand."""
import argparse
import json
import math
import os

WIDTH, HEIGHT, LEFT, TOP = 640, 320, 56, 24
LINES = [("all answers", "#1f4e9c", lambda l: l["loss"]),
         ("boxes", "#c2410c", lambda l: l["tasks"].get("box")),
         ("counts", "#15803d", lambda l: l["tasks"].get("count")),
         ("numbers", "#7e22ce", lambda l: l["tasks"].get("number"))]


def svg(width, height, body):
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
            'font-family="sans-serif" font-size="12">\n<rect width="100%%" height="100%%" '
            'fill="white"/>\n%s\n</svg>\n' % (width, height, width, height, "\n".join(body)))


def ticks(most):
    """A round step that gives four to ten ticks up to `most`."""
    step = max(1, 10 ** int(math.log10(max(1, most)) - .6))
    return next(step * n for n in (1, 2, 5, 10, 20) if most / (step * n) < 8)


def loss_curve(lines):
    """Loss per token over the samples seen, on a logarithmic axis."""
    most = max(l["samples"] for l in lines)
    values = [f(l) for l in lines for _, _, f in LINES if f(l)]
    low, high = math.floor(math.log10(max(1e-3, min(values)))), math.ceil(math.log10(max(values)))
    right, bottom = WIDTH - 16, HEIGHT - 40

    def x(samples):
        return LEFT + (right - LEFT) * samples / most

    def y(value):
        return TOP + (bottom - TOP) * (high - math.log10(max(10 ** low, value))) / (high - low)

    body = []
    for power in range(low, high + 1):
        at = y(10 ** power)
        body.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>'
                    % (LEFT, right, at, at))
        body.append('<text x="%d" y="%.1f" text-anchor="end">%g</text>'
                    % (LEFT - 6, at + 4, 10 ** power))
    step = ticks(most)
    for samples in range(0, most + 1, step):
        body.append('<text x="%.1f" y="%d" text-anchor="middle">%g%s</text>'
                    % (x(samples), bottom + 18, samples / 1000, "k" if samples else ""))
    body.append('<text x="%d" y="%d" text-anchor="middle">conversations seen</text>'
                % ((LEFT + right) / 2, HEIGHT - 6))
    body.append('<text x="8" y="14">loss per token</text>')
    for i, (name, colour, value) in enumerate(LINES):
        points = ["%.1f,%.1f" % (x(l["samples"]), y(value(l))) for l in lines if value(l)]
        body.append('<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>'
                    % (colour, " ".join(points)))
        body.append('<text x="%d" y="%d" fill="%s">%s</text>'
                    % (right - 90, TOP + 14 + 16 * i, colour, name))
    return svg(WIDTH, HEIGHT, body)


def accuracy_table(result):
    rows = list(result["accuracy"].items())
    body = ['<text x="16" y="24" font-weight="bold">Held-out questions answered rightly</text>']
    for i, (name, row) in enumerate(rows):
        y = 48 + 22 * i
        body.append('<text x="16" y="%d">%s</text>' % (y, name.replace(">", "&gt;")))
        body.append('<rect x="160" y="%d" width="%.1f" height="14" fill="#1f4e9c"/>'
                    % (y - 11, 300 * row["right"]))
        body.append('<text x="470" y="%d">%.1f %% of %d</text>'
                    % (y, 100 * row["right"], row["questions"]))
    return svg(WIDTH, 48 + 22 * len(rows), body)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder written by train.py")
    parser.add_argument("--out", default=".", help="folder for loss.svg and accuracy.svg")
    options = parser.parse_args()
    lines, before, last = [], 0, 0
    with open(os.path.join(options.run, "log.jsonl"), encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            if line["samples"] < last:  # a run that went on from an earlier one
                before += last
            last = line["samples"]
            line["samples"] += before
            lines.append(line)
    with open(os.path.join(options.out, "loss.svg"), "w", encoding="utf-8") as file:
        file.write(loss_curve(lines))
    with open(os.path.join(options.run, "accuracy.json"), encoding="utf-8") as file:
        result = json.load(file)
    with open(os.path.join(options.out, "accuracy.svg"), "w", encoding="utf-8") as file:
        file.write(accuracy_table(result))


if __name__ == "__main__":
    main()
