// The little that pages cannot do without script; everything else is htmx and plain forms.
"use strict";

// While the pointer or the keyboard is on something inside a live part, or a list is open there, it stays as it is.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.target;
  if (live.id !== "live") return;
  const busy = live.contains(document.activeElement) || live.querySelector("details[open]");
  if (busy) event.preventDefault();
});
