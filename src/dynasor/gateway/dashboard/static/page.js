// The page: which view is shown, who looks, and what the feed tells to whom.

import { by, say } from "./elements.js";
import { follow } from "./feed.js";
import { showFigures } from "./figures.js";
import { isSound, keep, key } from "./key.js";
import * as playground from "./playground.js";
import * as program from "./program.js";
import * as programs from "./programs.js";

const VIEWS = { programs: "Programs", program: "Program", playground: "Playground", key: "Key" };

let connection = null; // AbortController of the feed
let wantsKey = false;
let viewer = null;

function wanted() {
  const [, view, id] = /^#\/(\w*)(?:\/(.*))?$/.exec(location.hash) ?? [];
  if (view === "playground") return ["playground", null];
  if (view === "program" && id) {
    try {
      return ["program", decodeURIComponent(id)];
    } catch {
      return ["programs", null];
    }
  }
  return ["programs", null];
}

function show(moves) {
  const [asked, id] = wanted();
  const view = wantsKey ? "key" : asked;
  for (const section of document.querySelectorAll(".view")) section.hidden = section.dataset.view !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view || (view === "program" && link.dataset.view === "programs")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[view]} · Dynasor`;
  if (view === "program") program.open(id);
  else program.close();
  if (view === "playground") playground.open();
  if (moves) by(`${view}-title`).focus({ preventScroll: false });
  if (view === "key") by("key").focus();
}

function stands(state, told) {
  by("status").dataset.state = state;
  say(by("status"), state === "key" ? "locked" : told);
  if (state !== "key") return;
  say(by("key-fault"), key() === null ? "" : told);
  keep(null);
  wantsKey = true;
  by("leave").hidden = true;
  programs.clear();
  show(false);
}

function told(name, event) {
  if (name === "snapshot") {
    viewer = event.viewer;
    programs.clear();
    by("leave").hidden = key() === null;
    const whose = viewer.tenant === null ? "of all tenants, without what was asked and answered" : key() === null ? "" : `of ${viewer.tenant}`;
    say(by("whose"), whose);
  }
  if (wantsKey) {
    wantsKey = false;
    by("key").value = "";
    show(true);
  }
  showFigures(event.figures, event.now, viewer.tenant === null);
  programs.showPrograms(event.programs, event.now, viewer.tenant === null);
  program.changed(event.programs);
  playground.changed(event.programs);
}

function connect() {
  connection?.abort();
  connection = new AbortController();
  follow(told, stands, connection.signal);
}

by("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = by("key").value.trim();
  if (!isSound(typed)) return say(by("key-fault"), "a key has letters, digits and signs only, and no spaces");
  keep(typed);
  playground.forget();
  return connect();
});

by("leave").addEventListener("click", () => {
  keep(null);
  playground.forget();
  connect();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names a view
  by("main").focus();
});

addEventListener("hashchange", () => show(true));
programs.setUp();
program.setUp();
playground.setUp();
show(false);
connect();
