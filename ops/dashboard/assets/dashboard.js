// What htmx leaves to us: dialogs, the theme, and saying so when no news comes.
"use strict";

const STALE_MS = 5000;
let heardAt = Date.now();

function isLive() {
  return document.querySelector("[sse-connect]") !== null;
}

function showConnection() {
  const place = document.getElementById("connection");
  if (!place) return;
  const isLost = Date.now() - heardAt > STALE_MS;
  place.className = isLost ? "lost" : "";
  place.textContent = isLost ? "no news: the dashboard does not answer, and all below is old" : "";
}

function closeDialog() {
  document.getElementById("dialog-frame").close();
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

const theme = localStorage.getItem("theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;

document.addEventListener("htmx:sseMessage", () => { heardAt = Date.now(); showConnection(); });
document.addEventListener("htmx:afterSwap", (event) => {
  const frame = document.getElementById("dialog-frame");
  if (event.detail.target?.id === "dialog" && !frame.open) frame.showModal();
});
document.addEventListener("htmx:responseError", (event) => {
  const dialog = document.getElementById("dialog");
  dialog.textContent = event.detail.xhr.responseText;
  const frame = document.getElementById("dialog-frame");
  if (!frame.open) frame.showModal();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) closeDialog();
  if (event.target.id === "dialog-frame") closeDialog();
  if (event.target.id === "theme") switchTheme();
});
if (isLive()) setInterval(showConnection, 1000);
