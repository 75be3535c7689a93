// Light, dark, or as the system has it.

import { icon } from "./dom.js";

const KEY = "folioscope.theme";
/** @type {Record<string, {next: string, drawing: "sun" | "moon" | "auto"}>} */
const THEMES = {
  system: { next: "light", drawing: "auto" },
  light: { next: "dark", drawing: "sun" },
  dark: { next: "system", drawing: "moon" },
};

export const theme = () => {
  const kept = localStorage.getItem(KEY) ?? "";
  return kept in THEMES ? kept : "system";
};

/** @param {string} name of a theme */
export function setTheme(name) {
  if (name === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, name);
  show();
}

export function show() {
  const name = theme();
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

/** A button that goes through the three. */
export function themeButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button square";
  const tell = () => {
    const name = theme();
    button.replaceChildren(icon(THEMES[name]?.drawing ?? "auto"));
    button.title = `Theme: ${name}`;
    button.setAttribute("aria-label", `Theme: ${name}`);
  };
  button.addEventListener("click", () => {
    setTheme(THEMES[theme()]?.next ?? "system");
    tell();
  });
  tell();
  return button;
}
