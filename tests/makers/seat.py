"""A person's seat before the operator's window: Chromium, what it complains of, and pictures of each page."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

PICTURES = Path(__file__).parents[2] / "build" / "window"
"""Where every run leaves what it saw."""
WIDE, NARROW = 1280, 390
HEIGHT = 800
LIMIT_MS = 180_000
"""The machine may be busy."""
JUDGED = (f"{WIDE}-light", f"{NARROW}-dark")
"""The looks that axe-core judges: each width and each scheme once."""
MOST_STOPS = 200
LOUD = ("serious", "critical")
"""Impacts of axe-core's findings that nobody should have to live with."""
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(one => {
  if (one.matches('p, h1, h2, h3, td, dd, li') && one.scrollWidth > one.clientWidth + 1 && one.clientWidth
    && getComputedStyle(one).overflowX === 'visible' && getComputedStyle(one).display !== 'inline') return true;
  const box = one.getBoundingClientRect();
  if (!box.width || box.right <= document.documentElement.clientWidth + 1) return false;
  for (let above = one.parentElement; above; above = above.parentElement)
    if (getComputedStyle(above).overflowX !== 'visible') return false;
  return !one.closest('svg, .unseen, .skip');
}).map(one => one.outerHTML.slice(0, 120))"""
"""Text that is wider than its place, and what sticks out of the page on the right and lies in nothing that scrolls."""
PATH = """const path = one => one.id ? `#${one.id}` : one.parentElement
  ? `${path(one.parentElement)} > ${one.localName}:nth-child(${[...one.parentElement.children].indexOf(one) + 1})`
  : one.localName;"""
USABLE = f"""() => {{ {PATH}
  return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter(one => !one.disabled && one.checkVisibility() && one.getClientRects().length).map(path);
}}"""
"""Everything on the page that a person can press, fill in or scroll."""
FOCUSED = f"""() => {{ {PATH}
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const drawn = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const name = one.getAttribute('aria-label') ?? one.labels?.[0]?.innerText ?? one.innerText ?? '';
  return {{path: path(one), name: name.trim(), hidden: one !== document.body && !(drawn && inside)}};
}}"""
"""What has the focus, and whether a person sees that."""


@dataclass
class Seat:
    """One browser tab. complaints: errors of its scripts and what its policy had to stop."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page of the window."""
        self.page.goto(self.url + path)

    def text(self) -> str:
        """Every word on the page."""
        return self.page.inner_text("body")

    def until(self, pattern: str) -> str:
        """The text of the page once it has such words, without loading it again."""
        words = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        self.page.get_by_text(words).first.wait_for(timeout=LIMIT_MS)
        return self.text()

    def sign_in(self, name: str, password: str) -> None:
        """Come in by the door."""
        self.open("/sign-in")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("navigation").wait_for()

    def looks(self) -> Iterator[str]:
        """The present page on a desk and on a phone, by day and by night; each time the name of the look."""
        for width in (WIDE, NARROW):
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                yield f"{width}-{scheme}"
        self.page.set_viewport_size({"width": WIDE, "height": HEIGHT})
        self.page.emulate_media(color_scheme="light")

    def too_wide(self) -> list[str]:
        """What sticks out of the present page in any look."""
        return [f"{self.page.url} {look}: {one}" for look in self.looks() for one in self.page.evaluate(TOO_WIDE)]

    def faults(self, name: str) -> list[str]:
        """What keeps people from using the present page: what sticks out of it, what axe-core finds loud, and what
        Tab does not reach or hides from them. Pictures of every look are kept.
        """
        PICTURES.mkdir(parents=True, exist_ok=True)
        found = []
        for look in self.looks():
            self.page.screenshot(path=PICTURES / f"{name}-{look}.png", full_page=True)
            found += [f"{name} {look}: sticks out: {one}" for one in self.page.evaluate(TOO_WIDE)]
            if look in JUDGED:
                found += [f"{name} {look}: {one}" for one in self._barriers()]
        return found + [f"{name}: {one}" for one in self._beyond_keys()]

    def _barriers(self) -> Iterator[str]:
        for one in Axe().run(self.page).response["violations"]:
            if one["impact"] in LOUD:
                yield f"{one['id']}: {[node['html'] for node in one['nodes']]}"

    def _beyond_keys(self) -> Iterator[str]:
        """Tab goes round the page: each stop is seen to have the focus, and nothing that can be used is left out."""
        self.page.evaluate("document.activeElement.blur()")
        wanted = set(self.page.evaluate(USABLE))
        for _ in range(MOST_STOPS):
            if not wanted:
                return
            wanted.discard(self._tab()["path"])
        yield from (f"Tab does not reach {one}" for one in sorted(wanted))

    def tab_to(self, name: str) -> None:
        """Press Tab until what has that name has the focus."""
        for _ in range(MOST_STOPS):
            if re.search(name, self._tab()["name"]):
                return
        raise AssertionError(f"Tab does not come to {name}")

    def _tab(self) -> dict[str, str]:
        self.page.keyboard.press("Tab")
        stop: dict[str, str] = self.page.evaluate(FOCUSED)
        assert not stop["hidden"], f"the focus is not to be seen on {stop['path']} ({stop['name']})"
        return stop


@contextmanager
def seat(browser: Browser, url: str) -> Iterator[Seat]:
    """A seat with a browser profile of its own."""
    page = browser.new_page(viewport={"width": WIDE, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce")
    page.set_default_timeout(LIMIT_MS)
    found = Seat(page, url)
    page.on("console", lambda one: found.complaints.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("dialog", lambda dialog: _shut(dialog.message, dialog.dismiss, found))
    try:
        yield found
    finally:
        page.context.close()


def _shut(message: str, dismiss: Callable[[], None], found: Seat) -> None:
    found.complaints.append(f"a dialog: {message}")
    dismiss()
