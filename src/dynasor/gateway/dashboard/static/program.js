// One program in full: asked for again when the feed says that it has changed, but not too often.

import { curve, votes } from "./charts.js";
import { by, make, say } from "./elements.js";
import { fault } from "./events.js";
import { tiles } from "./figures.js";
import { headers } from "./key.js";
import { plural, reading, saved, seconds, short } from "./numbers.js";
import { isLive, time } from "./programs.js";

const SOONEST_MS = 700;
const ENDED = { s: "landed", l: "at its limit", c: "cut", f: "failed" };

let id = null;
let shown = null; // what was told last
let askedAt = -Infinity;
let timer = null;

export function setUp() {
  new ResizeObserver(() => shown !== null && id !== null && showCurve()).observe(by("curve"));
}

export function open(wanted) {
  if (wanted !== id) {
    [id, shown, askedAt] = [wanted, null, -Infinity];
    clearTimeout(timer);
    timer = null;
    for (const part of ["facts", "curve", "votes", "prompt", "branches"]) by(part).replaceChildren();
    say(by("program-title"), "Program");
    say(by("program-state"), "");
    by("program-body").hidden = true;
  }
  soon();
}

export function close() {
  id = null;
  clearTimeout(timer);
  timer = null;
}

// The feed has told of it.
export function changed(programs) {
  if (id !== null && programs.some((program) => program.id === id)) soon();
}

function soon() {
  if (timer !== null || id === null) return;
  timer = setTimeout(ask, Math.max(0, askedAt + SOONEST_MS - performance.now()));
}

async function ask() {
  const wanted = id;
  askedAt = performance.now();
  try {
    const response = await fetch(`dashboard/programs/${encodeURIComponent(wanted)}`, { headers: headers(), cache: "no-store" });
    const wrong = response.ok ? "" : await fault(response);
    const program = response.ok ? await response.json() : null;
    if (wanted !== id) return;
    say(by("program-fault"), wrong);
    if (program !== null) show(program);
  } catch {
    if (wanted === id) say(by("program-fault"), "no connection to the gateway");
  } finally {
    if (wanted === id) timer = null;
  }
}

function show(program) {
  shown = program;
  by("program-body").hidden = false;
  say(by("program-title"), `${program.algorithm} · ${program.id.slice(0, 8)}`);
  say(by("program-state"), program.state);
  by("program-state").dataset.state = program.state;
  const [leader, cast] = program.voted;
  tiles(by("facts"), [
    ["Certaindex", reading(program.certaindex), program.stopped_by ? `stopped by: ${program.stopped_by}` : "so far"],
    ["Knob", `${program.knob} / ${program.cap}`, `policy ${program.policy}`],
    ["Tokens", short(program.tokens), `${short(program.cut_tokens)} on cut branches`],
    ["Saved", saved(program), program.saved_tokens === null ? "not known" : plural(program.saved_tokens, "token")],
    ["Votes", `${leader} of ${cast}`, "for the leading answer"],
    ["Time", seconds(isLive(program) ? program.now - (program.began_at ?? program.asked_at) : time(program)), program.model || program.tenant],
  ]);
  showCurve();
  votes(by("votes"), program.votes);
  showPrompt(program.prompt);
  showBranches(program);
}

const showCurve = () =>
  curve(by("curve"), shown.points, shown.cap, `Certaindex ${reading(shown.certaindex)} at knob ${shown.knob} of ${shown.cap}`);

function showPrompt(prompt) {
  by("prompt-section").hidden = prompt === null;
  if (prompt === null || by("prompt").children.length > 0) return;
  by("prompt").append(...prompt.flatMap((turn) => [
    make("h3", {}, turn.role), make("p", { class: "text" }, turn.content ?? ""),
  ]));
}

// What has ended does not change: only new ones are added.
function showBranches(program) {
  const table = by("branches");
  const known = new Set([...table.querySelectorAll("tr[data-index]")].map((row) => row.dataset.index));
  for (const branch of program.branches) {
    if (!known.has(String(branch.index))) table.append(line(branch, program));
  }
  const older = program.more_branches > 0 ? `${plural(program.more_branches, "more branch", "more branches")} not shown. ` : "";
  const running = program.in_flight > 0 ? `${plural(program.in_flight, "request")} running or waiting. ` : "";
  const silent = program.prompt === null ? "What was asked and answered is not shown here." : "";
  say(by("branches-hint"), older + running + silent);
}

function line(branch, program) {
  const began = program.began_at ?? program.asked_at;
  const answer = branch.answer ?? (branch.text === undefined ? "" : "–");
  const text = branch.text
    ? make("details", {}, make("summary", {}, make("span", { class: "answer" }, answer), branch.kind === "probe" ? " (probe)" : ""),
      make("p", { class: "text" }, branch.text))
    : make("span", { class: "answer" }, answer);
  return make("tr", { "data-index": String(branch.index), "data-finish": branch.finish },
    make("td", { class: "number" }, String(branch.index)),
    make("td", {}, make("span", { class: "ended" }, ENDED[branch.finish])),
    make("td", { class: "number" }, short(branch.tokens)),
    make("td", { class: "number" }, seconds(Math.max(0, branch.at - began))),
    make("td", { class: "wide" }, text));
}
