// One question, asked twice at the same time: with Dynasor, and without.

import { curve, votes } from "./charts.js";
import { by, make, say } from "./elements.js";
import { events, fault } from "./events.js";
import { tiles } from "./figures.js";
import { headers } from "./key.js";
import { NONE, plural, reading, seconds, share, short } from "./numbers.js";
import { find } from "./programs.js";

const EXAMPLE = "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?";
const SIDES = [["with", "With Dynasor"], ["without", "Without"]];

let running = null; // AbortController
const sides = {};

export function setUp() {
  by("question").value = EXAMPLE;
  for (const [name, title] of SIDES) by("answers").append((sides[name] = side(name, title)).card);
  by("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  by("halt").addEventListener("click", () => running?.abort());
  new ResizeObserver(() => Object.values(sides).forEach((one) => one.told && showCurve(one))).observe(by("answers"));
}

export async function open() {
  if (by("model").options.length > 0) return;
  try {
    const response = await fetch("v1/models", { headers: headers(), cache: "no-store" });
    const wrong = response.ok ? "" : await fault(response);
    say(by("ask-fault"), response.status === 401 ? "the playground needs the key of a tenant" : wrong);
    if (!response.ok) return;
    by("model").replaceChildren(...(await response.json()).data.map((model) => make("option", { value: model.id }, model.id)));
  } catch {
    say(by("ask-fault"), "no connection to the gateway");
  }
}

// The feed knows certaindex at each branch; the answer's own stream, as the policy read it.
export function changed(programs) {
  for (const place of Object.values(sides)) {
    const program = programs.find(({ id }) => id === place.told?.id);
    if (program !== undefined) showCurve(place, program);
  }
}

export function forget() {
  running?.abort();
  by("model").replaceChildren();
}

function side(name, title) {
  const parts = {
    title: make("h2", { id: `${name}-title` }, title), state: make("span", { class: "badge" }),
    figures: make("dl", { class: "figures few" }), curve: make("div", { class: "chart" }),
    votes: make("ol", { class: "votes" }), text: make("p", { class: "text", "aria-label": "Answer" }),
    link: make("a", { hidden: true }, "its branches"), fault: make("p", { class: "fault", role: "alert" }),
  };
  const card = make("section", { class: "card padded answer-card", "data-side": name, "aria-labelledby": `${name}-title`, hidden: true },
    make("div", { class: "title" }, parts.title, parts.state, parts.link),
    parts.fault, parts.figures, parts.curve, parts.votes, parts.text);
  return { name, card, parts, told: null };
}

function body(name) {
  const asked = {
    model: by("model").value, messages: [{ role: "user", content: by("question").value }],
    max_tokens: by("most").valueAsNumber, stream: true, stream_options: { include_usage: true },
  };
  if (name === "without" && by("without").value === "plain") return asked;
  const policy = name === "without" ? "even" : by("policy").value;
  const dynasor = { algorithm: by("algorithm").value, cap: by("cap").valueAsNumber, progress: "events", alternatives: true };
  return { ...asked, dynasor: policy ? { ...dynasor, policy } : dynasor };
}

async function ask() {
  running?.abort();
  const mine = (running = new AbortController());
  by("halt").disabled = false;
  by("go").disabled = true;
  say(by("verdict"), "");
  say(sides.without.parts.title, by("without").value === "plain" ? "Without: one plain request" : "Without: even allocation");
  const asked = SIDES.map(([name]) => one(sides[name], body(name), mine.signal));
  await Promise.all(asked);
  if (running !== mine) return;
  running = null;
  by("halt").disabled = true;
  by("go").disabled = false;
  showVerdict(sides.with.told, sides.without.told);
}

async function one(place, asked, signal) {
  const told = (place.told = {
    began: performance.now(), ended: null, tokens: 0, certaindex: null, answer: null, text: "", points: [],
    cap: asked.dynasor?.cap ?? 1, knob: 0, done: false, reasons: "dynasor" in asked, id: null,
  });
  place.card.hidden = false;
  place.parts.link.hidden = true;
  place.parts.curve.replaceChildren();
  place.parts.curve.hidden = place.parts.votes.hidden = !told.reasons;
  place.parts.votes.replaceChildren();
  say(place.parts.fault, "");
  show(place, "running");
  const ticking = setInterval(() => show(place, "running"), 200);
  try {
    const response = await fetch("v1/chat/completions", {
      method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(asked), signal,
    });
    if (!response.ok) throw new Error(await fault(response));
    for await (const event of events(response)) {
      if (event.text === "[DONE]") break;
      take(place, JSON.parse(event.text));
    }
    told.done = true;
  } catch (error) {
    say(place.parts.fault, signal.aborted ? "" : error instanceof TypeError ? "the connection broke" : error.message);
  } finally {
    clearInterval(ticking);
    told.ended = performance.now();
    show(place, told.done ? "finished" : signal.aborted ? "stopped" : "failed");
  }
}

function take(place, chunk) {
  const { told, parts } = place;
  if (chunk.error) throw new Error(chunk.error.message);
  if (told.reasons) told.id = chunk.id.replace(/^\w+-/, "");
  told.text += chunk.choices?.[0]?.delta?.content ?? "";
  if (!told.reasons && chunk.choices?.[0]?.delta?.content) told.tokens += 1;
  if (chunk.usage) told.tokens = chunk.usage.completion_tokens;
  const { progress, ...end } = chunk.dynasor ?? {};
  if (progress) reach(told, progress, progress.leader);
  if (end.tokens !== undefined) {
    reach(told, end, end.answer);
    votes(parts.votes, (end.alternatives ?? []).map((answer) => ({ ...answer, weight: 0 })));
    parts.link.href = `#/program/${encodeURIComponent(told.id)}`;
    parts.link.hidden = false;
  }
  show(place, "running");
}

function reach(told, stands, answer) {
  Object.assign(told, { tokens: stands.tokens, certaindex: stands.certaindex, knob: stands.knob, cap: stands.cap, answer });
  if (told.points.at(-1)?.[0] === stands.knob) told.points.pop();
  told.points.push([stands.knob, stands.certaindex]);
}

function show(place, state) {
  const { told, parts } = place;
  say(parts.state, state);
  parts.state.dataset.state = state === "stopped" ? "withdrawn" : state;
  const time = ((told.ended ?? performance.now()) - told.began) / 1000;
  tiles(parts.figures, [
    ["Tokens", short(told.tokens), told.reasons ? `knob ${told.knob} / ${told.cap}` : "one answer"],
    ["Time", seconds(time), told.ended === null ? "so far" : "to the end"],
    ["Certaindex", told.certaindex === null ? NONE : reading(told.certaindex), told.reasons ? "how settled it is" : "not measured"],
    ["Answer", told.answer ?? NONE, told.answer === null ? "none read" : told.done ? "by vote" : "leading"],
  ]);
  say(parts.text, told.text);
  if (told.reasons && (told.points.length !== place.drawn || state !== "running")) showCurve(place);
}

function showCurve(place, program = find(place.told.id)) {
  const { told, parts } = place;
  place.drawn = told.points.length;
  if (!told.reasons) return;
  const points = program?.points.length ? program.points : told.points;
  curve(parts.curve, points, told.cap, `Certaindex ${reading(told.certaindex ?? 0)} at knob ${told.knob} of ${told.cap}`);
}

function showVerdict(yes, no) {
  if (!yes?.done || !no?.done) return;
  const difference = no.tokens - yes.tokens;
  const much = `${plural(Math.abs(difference), "token")} ${difference < 0 ? "more" : "fewer"}`;
  const part = difference > 0 ? ` (${share(difference, no.tokens)})` : "";
  const same = !no.reasons ? "" : yes.answer === no.answer ? ", the same answer" : ", another answer";
  const time = (no.ended - no.began - yes.ended + yes.began) / 1000;
  say(by("verdict"), `Dynasor: ${much}${part}${same}, ${seconds(Math.abs(time))} ${time < 0 ? "later" : "sooner"}.`);
}
