// The key, where the gateway asks for one: typed into a form, kept for this tab, sent in a header.

const NAME = "dynasor-key";
let held = null;

export function key() {
  if (held !== null) return held;
  try {
    held = sessionStorage.getItem(NAME);
  } catch {
    held = null; // a browser that keeps nothing: it holds until the page is left
  }
  return held;
}

export function keep(told) {
  held = told;
  try {
    if (told === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, told);
  } catch {
    // as above
  }
}

export const headers = () => (key() === null ? {} : { Authorization: `Bearer ${key()}` });

// Only what a header may hold.
export const isSound = (told) => /^[\x21-\x7e]{1,512}$/.test(told);
