// The little that pages cannot do without script; everything else is htmx and plain forms.
"use strict";

// While the pointer or the keyboard is on something inside a live part, or a list is open there, it stays as it is.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.target;
  if (live.id !== "live") return;
  const busy = live.contains(document.activeElement) || live.querySelector("details[open]");
  if (busy) event.preventDefault();
});

// What was asked for in vain is said: a page that quietly stays as it was would be taken for the present.
const trouble = () => document.getElementById("trouble");
let troubled = null;
const inside = (text, selector) => new DOMParser().parseFromString(text, "text/html").querySelector(selector);
const faultIn = (text) => inside(text, ".fault:not([hidden])")?.textContent;
const say = (event, words) => {
  troubled = event.detail.elt.id || event.detail.elt;
  trouble().textContent = words;
  trouble().hidden = false;
  if (event.detail.boosted) trouble().scrollIntoView({ block: "nearest" });
};
for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, (event) => {
  say(event, "The node does not answer. What is shown here is how it was; a list that is live asks again by itself.");
});
document.addEventListener("htmx:responseError", async (event) => {
  const { status, responseText } = event.detail.xhr;
  if (status === 401) return again();
  if (status === 403 && await signedInElsewhere()) {
    return say(event, "You have signed in anew since this page was loaded. Nothing was done yet: press once more.");
  }
  const told = faultIn(responseText);
  const why = status === 413 ? "it is too much at once" : "its log says why";
  say(event, told || `The node did not do this (${status}): ${why}.`);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const asked = event.detail.elt.id || event.detail.elt;
  if (event.detail.successful && asked === troubled) trouble().hidden = true;
});

// A session that is over begins anew in place: what was typed stays, and is sent when its button is pressed again.
const again = () => {
  const dialog = document.getElementById("again");
  if (!dialog.open) dialog.showModal();
};
const taken = (page) => {
  const token = inside(page, "input[name=csrf]")?.value;
  if (!token) return false;
  for (const one of document.querySelectorAll("input[name=csrf]")) one.value = token;
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRF-Token": token }));
  return true;
};
const signedInElsewhere = async () => {
  const before = document.querySelector("input[name=csrf]")?.value;
  const page = await fetch("/api").then((answer) => answer.text(), () => "");
  return taken(page) && document.querySelector("input[name=csrf]").value !== before;
};
document.addEventListener("submit", async (event) => {
  const form = event.target, dialog = form.closest("#again");
  if (!dialog) return;
  event.preventDefault();
  const page = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) })
    .then((answer) => answer.text(), () => "");
  form.elements.password.value = "";
  const isIn = taken(page), said = dialog.querySelector(".fault");
  said.textContent = faultIn(page) || "The node does not answer.";
  said.hidden = isIn;
  if (isIn) dialog.close();
});

// The preview: slices by wheel, keys and slider; the neighbours of the present one are fetched ahead.
const viewer = document.getElementById("viewer");
if (viewer) {
  const count = Number(viewer.dataset.count);
  const slider = document.getElementById("slice");
  const view = document.getElementById("view");
  const findings = document.getElementById("findings");
  const place = document.getElementById("picture");
  const fetched = new Map();

  const image = (number) => {
    const query = new URLSearchParams({ view: view.value, findings: findings.checked });
    const address = `${viewer.dataset.base}${number}.png?${query}`;
    if (!fetched.has(address)) {
      const made = new Image();
      made.alt = `Slice ${number} of ${count}`;
      made.onerror = () => fetched.delete(address);
      made.src = address;
      fetched.set(address, made);
      if (fetched.size > 300) fetched.delete(fetched.keys().next().value);
    }
    return fetched.get(address);
  };

  let asked = 0;
  const show = async (number) => {
    const mine = ++asked;
    slider.value = Math.min(count, Math.max(1, number));
    const wanted = Number(slider.value);
    document.getElementById("number").value = wanted;
    const shown = image(wanted);
    const isWhole = await shown.decode().then(() => true, () => false);
    if (mine !== asked) return;  // by now another slice is wanted, or this one in another view
    place.replaceChildren(isWhole ? shown : "This slice cannot be shown: load the page again.");
    for (const near of [1, -1, 2, -2, 3]) if (wanted + near >= 1 && wanted + near <= count) image(wanted + near);
  };

  const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
  viewer.addEventListener("keydown", (event) => {
    if (event.target !== viewer) return;
    const ends = { Home: 1, End: count };
    const to = event.key in steps ? Number(slider.value) + steps[event.key] : ends[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
  let turned = 0;
  place.addEventListener("wheel", (event) => {
    event.preventDefault();
    turned += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const whole = Math.trunc(turned);
    turned -= whole;
    if (whole) show(Number(slider.value) + whole);
  }, { passive: false });
  slider.addEventListener("input", () => show(Number(slider.value)));
  view.addEventListener("change", () => show(Number(slider.value)));
  findings.addEventListener("change", () => show(Number(slider.value)));
  show(Number(slider.value));
}
