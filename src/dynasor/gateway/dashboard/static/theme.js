// Light or dark: what the system says, until somebody chooses. It runs before anything is drawn.
"use strict";
(() => {
  const NAME = "dynasor-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null; // a browser that keeps nothing
    }
  }

  function keep(theme) {
    try {
      if (theme === null) localStorage.removeItem(NAME);
      else localStorage.setItem(NAME, theme);
    } catch {
      // it holds until the page is left
    }
  }

  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

  function show(theme) {
    if (theme === null) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.getElementById("theme")?.setAttribute("aria-pressed", String(isDark()));
  }

  const before = chosen();
  show(before === "light" || before === "dark" ? before : null);
  document.addEventListener("DOMContentLoaded", () => {
    show(document.documentElement.dataset.theme ?? null);
    dark.addEventListener("change", () => show(document.documentElement.dataset.theme ?? null));
    document.getElementById("theme").addEventListener("click", () => {
      const wanted = isDark() ? "light" : "dark";
      const theme = (wanted === "dark") === dark.matches ? null : wanted;
      keep(theme);
      show(theme);
    });
  });
})();
