// Live tables. While a person reads or points at a table, or has paused it, new rows wait behind a button.
"use strict";

(() => {
  const SAY_EVERY_MS = 10000;

  const feeds = new Map();

  class Feed {
    constructor(box) {
      this.box = box;
      this.body = box.querySelector("tbody");
      this.pause = box.querySelector("[data-feed-pause]");
      this.show = box.querySelector("[data-feed-show]");
      this.status = box.querySelector("[data-feed-status]");
      this.most = Number(this.body.dataset.keep);
      this.waiting = [];
      this.unsaid = 0;
      this.hasOlder = false;
      this.hasGap = false;
      this.pause.hidden = false;
      this.pause.addEventListener("click", () => this.toggle());
      this.show.addEventListener("click", () => this.catchUp());
      this.body.addEventListener("pointerleave", () => this.release());
      this.body.addEventListener("focusout", () => setTimeout(() => this.release()));
    }

    get isPaused() {
      return this.pause.getAttribute("aria-pressed") === "true";
    }

    // New rows would move the row that a person reads further down, points at, has focused or has selected.
    get isHeld() {
      const selection = getSelection();
      return this.isPaused || this.hasOlder || this.box.getBoundingClientRect().top < 0 || this.body.matches(":hover")
        || this.body.contains(document.activeElement) || (!selection.isCollapsed && this.body.contains(selection.anchorNode));
    }

    toggle() {
      this.pause.setAttribute("aria-pressed", String(!this.isPaused));
      this.release();
    }

    // One message may contain several rows. Rows beyond the table's maximum are dropped, since it would not show them.
    hold(text) {
      const rows = document.createElement("template");
      rows.innerHTML = text;
      this.waiting.unshift(...rows.content.querySelectorAll("tr"));
      this.waiting.length = Math.min(this.waiting.length, this.most);
      this.show.hidden = false;
      if (this.hasGap) return;
      const number = this.waiting.length === this.most ? `${this.most} or more` : this.waiting.length;
      this.show.textContent = `Show ${number} new`;
    }

    release() {
      if (this.waiting.length && !this.isHeld) this.put();
    }

    skip(number) {
      this.hasGap = true;
      this.show.hidden = false;
      this.show.textContent = `${number} rows were skipped; load the newest`;
    }

    // After a gap the waiting rows would not connect to the shown rows, so the page is loaded again.
    catchUp() {
      if (this.hasOlder || this.hasGap) location.reload();
      else this.put();
    }

    put() {
      const rows = this.waiting.splice(0);
      const hadFocus = document.activeElement === this.show;
      this.body.prepend(...rows);
      this.show.hidden = !this.hasGap;
      if (hadFocus) this.pause.focus();
      this.body.dispatchEvent(new CustomEvent("htmx:after:swap", { bubbles: true }));
      this.tell(rows.length);
    }

    // Announce the number of new rows to screen readers, at most every SAY_EVERY_MS.
    tell(number) {
      this.unsaid += number;
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        if (this.unsaid) this.status.textContent = this.unsaid === 1 ? "1 new entry" : `${this.unsaid} new entries`;
        this.unsaid = 0;
      }, this.status.textContent ? SAY_EVERY_MS : 1000);
    }
  }

  document.addEventListener("htmx:sse:before:message", (event) => {
    const feed = feeds.get(event.target);
    if (!feed) return;
    document.body.dispatchEvent(new CustomEvent("moved"));
    if (feed.isHeld || feed.waiting.length) {
      event.detail.cancelled = true;
      feed.hold(event.detail.message.data);
    } else {
      feed.tell(event.detail.message.data.split("<tr").length - 1);
    }
  });

  // The server skips rows for a client that is too slow, and sends their number.
  document.addEventListener("missed", (event) => feeds.get(event.target)?.skip(event.detail.data));

  // The link "older" adds rows below. From then on the table is not trimmed, and new rows wait.
  document.addEventListener("htmx:before:request", (event) => {
    const link = event.target.closest?.("[data-older]");
    const feed = link && [...feeds.values()].find((each) => each.box.contains(link));
    if (!feed) return;
    feed.hasOlder = true;
    delete feed.body.dataset.keep;
  });

  // A part that refreshes itself is not replaced while one of its details is open.
  document.addEventListener("htmx:before:request", (event) => {
    if (event.target.matches?.("[data-calm]") && event.target.querySelector("details[open]")) event.preventDefault();
  });

  document.addEventListener("scroll", () => feeds.forEach((feed) => feed.release()), { passive: true });
  for (const box of document.querySelectorAll("[data-feed-box]")) {
    const feed = new Feed(box);
    feeds.set(feed.body, feed);
  }
})();
