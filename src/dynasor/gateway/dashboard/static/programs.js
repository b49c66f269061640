// The list of programs, the newest first, each in one line that is changed in its place.

import { spark, strip } from "./charts.js";
import { by, make, say } from "./elements.js";
import { plural, reading, saved, seconds, short } from "./numbers.js";

const MOST = 200; // lines

const lines = new Map(); // by id: { program, item, parts }
let filter = "all";
let clock = { gateway: 0, here: 0 };
let namesTenants = false;

export const isLive = (program) => program.state === "running" || program.state === "waiting";

export const find = (id) => lines.get(id)?.program ?? null;

export const time = (program) =>
  (program.ended_at ?? clock.gateway + (performance.now() - clock.here) / 1000) - (program.began_at ?? program.asked_at);

export function setUp() {
  by("filter").addEventListener("change", (event) => {
    filter = event.target.value;
    for (const line of lines.values()) line.item.hidden = !isShown(line.program);
    showEmpty();
  });
  setInterval(() => { // the times of those that run
    if (document.hidden || by("programs").closest("[hidden]")) return;
    for (const { program, parts } of lines.values()) if (isLive(program)) say(parts.time, seconds(time(program)));
  }, 500);
}

export function clear() {
  lines.clear();
  by("programs").replaceChildren();
  showEmpty();
}

export function showPrograms(programs, now, operator) {
  clock = { gateway: now, here: performance.now() };
  namesTenants = operator;
  for (const program of programs) {
    const line = lines.get(program.id) ?? add(program);
    const before = line.program;
    line.program = program;
    show(line, before);
  }
  drop();
  showEmpty();
}

const isShown = (program) => filter === "all" || (filter === "live") === isLive(program);

function showEmpty() {
  const count = [...lines.values()].filter((line) => isShown(line.program)).length;
  by("no-programs").hidden = count > 0;
}

function add(program) {
  const cell = (name, label) => make("span", { class: name, "data-label": label });
  const parts = {
    state: make("span", { class: "dot" }), name: make("span", { class: "name" }), more: make("span", { class: "more" }),
    curve: cell("curve-cell"), reading: cell("reading number", "certaindex"), branches: cell("branches-cell"),
    knob: cell("knob number", "knob"), tokens: cell("tokens number", "tokens"), saved: cell("saved number", "saved"),
    time: cell("time number", "time"),
  };
  const link = make("a", { href: `#/program/${encodeURIComponent(program.id)}` },
    make("span", { class: "who" }, parts.state, parts.name, parts.more),
    parts.curve, parts.reading, parts.branches, parts.knob, parts.tokens, parts.saved, parts.time);
  const line = { program: null, item: make("li", { class: "program" }, link), parts: { ...parts, link } };
  lines.set(program.id, line);
  by("programs").prepend(line.item);
  return line;
}

function show({ program, item, parts }, before) {
  item.hidden = !isShown(program);
  item.dataset.state = program.state;
  say(parts.name, program.algorithm);
  const unusual = ["waiting", "withdrawn", "failed"].includes(program.state) ? program.state : "";
  say(parts.more, [unusual, namesTenants ? program.tenant : "", program.model, program.policy].filter(Boolean).join(" · "));
  say(parts.reading, reading(program.certaindex));
  say(parts.knob, `${program.knob} / ${program.cap}`);
  say(parts.tokens, short(program.tokens));
  say(parts.saved, saved(program));
  say(parts.time, seconds(time(program)));
  if (JSON.stringify(before?.points) !== JSON.stringify(program.points)) {
    parts.curve.replaceChildren(spark(program.points, program.cap));
  }
  if (before?.strip !== program.strip || before.in_flight !== program.in_flight) {
    parts.branches.replaceChildren(strip(program.strip, program.in_flight));
  }
  parts.link.setAttribute("aria-label",
    `${program.algorithm}, ${program.state}, certaindex ${reading(program.certaindex)}, knob ${program.knob} of`
    + ` ${program.cap}, ${plural(program.counts.s + program.counts.l, "branch", "branches")} landed,`
    + ` ${program.counts.c} cut, ${plural(program.tokens, "token")}`);
}

// The oldest that have ended go first.
function drop() {
  for (const [id, { program, item }] of lines) {
    if (lines.size <= MOST) return;
    if (isLive(program)) continue;
    item.remove();
    lines.delete(id);
  }
}
