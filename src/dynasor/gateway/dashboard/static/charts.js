// Small drawings: certaindex over knob, and a strip of branches.

import { draw, make } from "./elements.js";

const SPARK = { width: 160, height: 32 };
const CELL = { width: 10, height: 12 };
const STRIP = 176;
const MARGIN = { left: 34, right: 12, top: 10, bottom: 34 };
const TICKS = [0, 0.25, 0.5, 0.75, 1];

const svg = (width, height, more, ...children) =>
  draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, ...more }, ...children);

// A step line: between two readings nobody knows more.
function line(points, x, y) {
  let path = "";
  for (const [knob, certaindex] of points) {
    path += path === "" ? `M${x(knob)} ${y(certaindex)}` : `H${x(knob)}V${y(certaindex)}`;
  }
  return path;
}

const placed = (number) => Number(number.toFixed(2));

export function spark(points, cap) {
  const { width, height } = SPARK;
  const x = (knob) => placed(2 + ((width - 6) * knob) / Math.max(1, cap));
  const y = (certaindex) => placed(3 + (height - 6) * (1 - certaindex));
  const last = points.at(-1);
  return svg(width, height, { "aria-hidden": "true", class: "spark" },
    draw("path", { class: "axis", d: `M2 ${height - 1.5}H${width - 4}M2 1.5H${width - 4}` }),
    points.length > 0 ? draw("path", { class: "curve", d: line(points, x, y) }) : null,
    last ? draw("circle", { class: "end", cx: x(last[0]), cy: y(last[1]), r: 2.5 }) : null);
}

export function strip(letters, inFlight) {
  const room = Math.floor(STRIP / 4);
  const shown = letters.slice(-room);
  const running = Math.min(inFlight, Math.max(0, room - shown.length));
  const cells = [...shown, ..."r".repeat(running)];
  const step = Math.min(CELL.width, STRIP / Math.max(1, cells.length));
  const drawing = svg(STRIP, CELL.height, { "aria-hidden": "true", class: "strip" });
  cells.forEach((letter, place) => drawing.append(draw("use", {
    href: `#cell-${letter}`, x: placed(place * step), width: placed(step), height: CELL.height,
  })));
  return drawing;
}

// As wide as what holds it, so that its letters are as large as all others.
export function curve(holder, points, cap, told) {
  const width = Math.max(220, Math.floor(holder.clientWidth));
  const height = Math.round(Math.min(240, Math.max(150, width * 0.42)));
  const x = (knob) => placed(MARGIN.left + ((width - MARGIN.left - MARGIN.right) * knob) / Math.max(1, cap));
  const y = (certaindex) => placed(MARGIN.top + (height - MARGIN.top - MARGIN.bottom) * (1 - certaindex));
  const drawing = svg(width, height, { role: "img", "aria-label": told });
  for (const tick of TICKS) {
    drawing.append(
      draw("path", { class: "grid", d: `M${MARGIN.left} ${y(tick)}H${width - MARGIN.right}` }),
      draw("text", { x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick === 0 || tick === 1 ? String(tick) : tick.toFixed(2)));
  }
  const step = Math.max(1, Math.ceil(cap / 5));
  for (let knob = 0; knob <= cap; knob += step) {
    drawing.append(draw("text", { x: x(knob), y: height - MARGIN.bottom + 16, "text-anchor": "middle" }, String(knob)));
  }
  drawing.append(draw("text", { class: "name", x: width - MARGIN.right, y: height - 4, "text-anchor": "end" }, `knob, of ${cap}`));
  if (points.length > 0) {
    const [first, last] = [points[0], points.at(-1)];
    drawing.append(
      draw("path", { class: "area", d: `${line(points, x, y)}V${y(0)}H${x(first[0])}Z` }),
      draw("path", { class: "curve", d: line(points, x, y) }),
      ...points.map(([knob, certaindex]) => draw("circle", { class: "point", cx: x(knob), cy: y(certaindex), r: 2 })),
      draw("circle", { class: "end", cx: x(last[0]), cy: y(last[1]), r: 4 }));
  }
  holder.replaceChildren(drawing);
}

// A bar that is part of a whole; `mark` is another part, to compare it with.
export function bar(part, mark = null) {
  const inner = make("span", { class: "part" });
  inner.style.setProperty("--part", `${Math.min(100, Math.max(0, 100 * part))}%`);
  const outer = make("span", { class: "bar", "aria-hidden": "true" }, inner);
  if (mark !== null) {
    const line = make("span", { class: "due" });
    line.style.setProperty("--part", `${Math.min(100, Math.max(0, 100 * mark))}%`);
    outer.append(line);
  }
  return outer;
}

export function votes(list, answers) {
  const all = answers.reduce((sum, answer) => sum + answer.votes, 0);
  list.replaceChildren(...answers.map((answer, place) => {
    const isNone = answer.answer === null && "weight" in answer;
    const name = isNone ? "no answer" : (answer.answer ?? `answer ${place + 1}`);
    return make("li", isNone ? { class: "none" } : {},
      make("span", { class: "answer" }, name),
      make("span", { class: "count" }, String(answer.votes)),
      bar(answer.votes / Math.max(1, all)));
  }));
}
