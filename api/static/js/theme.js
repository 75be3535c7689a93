// Light, dark, or as the system has it.

import { icon, iconButton, put } from "./dom.js";

const KEY = "folioscope.theme";
const THEMES = /** @type {const} */ (["system", "light", "dark"]);
const DRAWINGS = /** @type {const} */ ({ system: "auto", light: "sun", dark: "moon" });

export const theme = () => THEMES.find((name) => name === localStorage.getItem(KEY)) ?? "system";

/** @param {string} name of a theme */
export function setTheme(name) {
  localStorage.setItem(KEY, name);
  show();
}

export function show() {
  document.documentElement.dataset.theme = theme();
}

/** A button that goes through the three. */
export function themeButton() {
  const made = iconButton("auto", "Theme", () => {
    setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % 3] ?? "system");
    tell();
  });
  const tell = () => {
    put(made, icon(DRAWINGS[theme()]));
    made.title = made.ariaLabel = `Theme: ${theme()}`;
  };
  tell();
  return made;
}
