// Follows the gateway's feed while somebody looks at the page, and connects again when it ends.

import { events, fault } from "./events.js";
import { headers } from "./key.js";

const FIRST_MS = 1000;
const LONGEST_MS = 15000;

const pause = (duration, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, duration);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });

const seen = () =>
  new Promise((done) => {
    if (!document.hidden) return done();
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    return document.addEventListener("visibilitychange", look);
  });

// `told` gets each event, `stands` a word and a sentence on the connection; where a key is wanted it ends.
export async function follow(told, stands, signal) {
  let wait = FIRST_MS;
  while (!signal.aborted) {
    await seen();
    const shut = new AbortController();
    const hide = () => document.hidden && shut.abort();
    document.addEventListener("visibilitychange", hide); // who does not look costs nothing
    try {
      stands("connecting", "connecting");
      const response = await fetch("dashboard/feed", {
        headers: headers(), cache: "no-store", signal: AbortSignal.any([signal, shut.signal]),
      });
      if (response.status === 401) return stands("key", await fault(response));
      if (!response.ok) throw new Error(await fault(response));
      for await (const event of events(response)) {
        if (event.name === "closing") throw new Error("the gateway is shutting down");
        wait = FIRST_MS;
        stands("live", "live");
        told(event.name, JSON.parse(event.text));
      }
      throw new Error("the connection ended");
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!shut.signal.aborted) {
        stands("closed", error instanceof TypeError ? "no connection" : error.message);
        await pause(wait, signal);
        wait = Math.min(2 * wait, LONGEST_MS);
      }
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
  }
  return undefined;
}
