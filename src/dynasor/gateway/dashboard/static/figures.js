// The figures of the whole gateway, the programs that clients drive, and its tenants.

import { bar } from "./charts.js";
import { by, make, say } from "./elements.js";
import { NONE, plural, reading, seconds, share, short, whole } from "./numbers.js";

export function tiles(list, entries) {
  if (list.children.length !== entries.length) {
    list.replaceChildren(...entries.map(() => make("div", {}, make("dt"), make("dd", { class: "large" }), make("dd", { class: "small" }))));
  }
  entries.forEach(([name, large, small], place) => {
    const [term, number, note] = list.children[place].children;
    say(term, name);
    say(number, large);
    say(note, small);
  });
}

export function showFigures({ programs, requests, tenants, client_programs }, now, operator) {
  const due = programs.met + programs.missed;
  const spared = programs.even_tokens - programs.known_tokens;
  tiles(by("figures"), [
    ["Tokens saved", share(spared, programs.even_tokens),
      programs.even_tokens ? `${short(spared)} of even’s ${short(programs.even_tokens)}` : "no program has ended"],
    ["Tokens spent", short(programs.tokens), `${short(programs.cut_tokens)} on cut branches`],
    ["Programs", whole(programs.running), `running; ${whole(programs.waiting)} wait, ${short(programs.finished)} done`],
    ["Requests", whole(requests.running), `running; ${whole(requests.waiting)} in the queue`],
    ["In time", share(programs.met, due), due ? `${short(programs.met)} of ${plural(due, "deadline")}` : "no deadline so far"],
    ["Certaindex", programs.mean_certaindex === null ? NONE : reading(programs.mean_certaindex), "mean at the stop"],
  ]);
  showClients(client_programs, now, operator);
  showTenants(tenants);
}

function showClients(programs, now, operator) {
  by("clients-section").hidden = programs.length === 0;
  by("clients").replaceChildren(...programs.map((program) => make("tr", {},
    make("th", { scope: "row" }, program.name, operator ? make("span", { class: "more" }, ` ${program.tenant}`) : null),
    make("td", { class: "number" }, whole(program.requests)),
    make("td", { class: "number" }, whole(program.in_flight)),
    make("td", { class: "number" }, short(program.tokens)),
    make("td", { class: "number" }, seconds(now - program.opened_at)),
    make("td", { class: "number" }, program.in_flight ? "now" : `${seconds(now - program.heard_at)} ago`))));
}

function showTenants(tenants) {
  const tokens = tenants.reduce((sum, tenant) => sum + tenant.tokens, 0);
  const shares = tenants.reduce((sum, tenant) => sum + tenant.share, 0);
  by("no-tenants").hidden = tenants.length > 0;
  document.querySelector(".tenants").hidden = tenants.length === 0;
  by("tenants-hint").hidden = tenants.length < 2;
  by("tenants").replaceChildren(...tenants.map((tenant) => make("tr", {},
    make("th", { scope: "row" }, tenant.name),
    make("td", { class: "number" }, String(tenant.share)),
    make("td", { class: "wide" }, make("span", { class: "with-bar" },
      bar(tokens ? tenant.tokens / tokens : 0, tenants.length > 1 ? tenant.share / shares : null),
      make("span", { class: "number" }, share(tenant.tokens, tokens)))),
    make("td", { class: "number" }, short(tenant.tokens)),
    make("td", { class: "number" }, whole(tenant.running)),
    make("td", { class: "number" }, whole(tenant.waiting)))));
}
