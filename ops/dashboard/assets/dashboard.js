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

function openDialog(button) {
  htmx.ajax("GET", button.dataset.dialog, "#dialog");
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

// A file becomes the text that is sent; what is too large for a fleet is refused where it is read.
async function showFile(input) {
  const file = input.files[0];
  if (!file) return;
  const { text, file: name } = input.form.elements;
  text.value = "";
  text.value = await file.slice(0, Number(input.dataset.mostBytes) + 1).text();
  name.value = file.name;
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
  const asking = event.target.closest("[data-dialog]");
  if (asking) openDialog(asking);
  if (event.target.closest("[data-close]")) closeDialog();
  if (event.target.id === "dialog-frame") closeDialog();
  if (event.target.id === "theme") switchTheme();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-most-bytes]")) showFile(event.target);
});
if (isLive()) setInterval(showConnection, 1000);
