// Light, dark, or as the system has it; kept by the browser.

const THEMES = ["auto", "light", "dark"];

/**
 * Makes a button go from one to the next. Whatever draws with colours of its own listens for `themechange` on
 * the window.
 *
 * @param {HTMLElement} button
 */
export function switchThemes(button) {
  const root = document.documentElement;

  /** @param {string} theme */
  function set(theme) {
    root.dataset.theme = theme;
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme] ?? "Auto";
    button.setAttribute("aria-label", `Colours: ${theme}`);
    window.dispatchEvent(new Event("themechange"));
  }

  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    try { localStorage.setItem("theme", next); } catch { /* a browser that keeps nothing */ }
    set(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new Event("themechange")));
  let kept = "auto";
  try { kept = localStorage.getItem("theme") ?? "auto"; } catch { /* as above */ }
  set(THEMES.includes(kept) ? kept : "auto");
}
