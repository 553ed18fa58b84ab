// The pages' script for what htmx does not do: copy buttons, charts, messages, and accessible tables on a phone.
"use strict";

(() => {
  const SHOWN_FOR_MS = 6000;

  // Show a message for a few seconds. Screen readers announce it.
  function say(text, isError = false) {
    const message = document.createElement("p");
    message.textContent = text;
    message.className = isError ? "toast error" : "toast";
    document.getElementById("toasts").append(message);
    setTimeout(() => message.remove(), SHOWN_FOR_MS);
  }

  // A part that polls reports an error once, not with each failed poll, until a request succeeds.
  let isSilent = false;

  function complain(event, text) {
    const asksAgain = event.target.matches?.('[hx-trigger^="every"]') ?? false;
    if (!(asksAgain && isSilent)) say(text, true);
    isSilent = asksAgain;
  }

  document.addEventListener("htmx:response:error", (event) => {
    const { status } = event.detail.ctx.response;
    if (status !== 422) complain(event, `The server replied with status ${status}. Reload the page to see the current state.`);
  });
  document.addEventListener("htmx:error", (event) => complain(event, "The server cannot be reached."));
  document.addEventListener("htmx:after:swap", () => { isSilent = false; });

  // The state of the live feed, on or off, for the style sheets.
  const feedIs = (state) => () => { document.documentElement.dataset.feed = state; };
  document.addEventListener("htmx:sse:after:connection", feedIs("on"));
  document.addEventListener("htmx:sse:error", feedIs("off"));
  document.addEventListener("htmx:sse:close", feedIs("off"));

  // A link with the role of a button also reacts to the space key, as a button does.
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches("a[role=button]")) return;
    event.preventDefault();
    event.target.click();
  });

  // data-copy="TEXT" on a button copies the text to the clipboard, or selects it if the browser refuses.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("Copied.");
    } catch {
      const text = button.parentElement.querySelector("code");
      if (text) getSelection().selectAllChildren(text);
      say("The browser does not allow this page to copy. Press Ctrl+C or ⌘C.");
    }
  });

  // On a phone, style sheets show table rows as cards. Some screen readers then need explicit roles for the table.
  const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader", td: "cell" };

  function nameRoles() {
    for (const element of document.querySelectorAll(Object.keys(ROLES).map((tag) => `table.rows ${tag}`).join())) {
      element.setAttribute("role", ROLES[element.localName]);
    }
    for (const table of document.querySelectorAll("table.rows")) table.setAttribute("role", "table");
  }

  // data-keep="N" on a table's body: remove the rows after the first N, which the feed has pushed down.
  function trim() {
    for (const body of document.querySelectorAll("tbody[data-keep]")) {
      while (body.rows.length > Number(body.dataset.keep)) body.rows[body.rows.length - 1].remove();
    }
  }

  // Charts: data-chart contains {x, series, money, days}; see the macro `chart`.
  const WHOLE = [...Array(15).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  const drawn = new Map();
  const told = new WeakMap();
  const resized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const plot = drawn.get(target);
      if (plot && contentRect.width) plot.setSize({ width: contentRect.width, height: plot.height });
    }
  });

  const amount = new Intl.NumberFormat("en", { minimumFractionDigits: 2 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

  // Compact labels such as 1.2K, unless two of them would be equal.
  function labels(values) {
    const shown = values.map((value) => short.format(value));
    return new Set(shown).size === shown.length ? shown : values.map((value) => plain.format(value));
  }

  // Ticks within one second or one day would repeat the same label, so only the first of them has it.
  const once = (shown) => shown.map((text, place) => (text === shown[place - 1] ? "" : text));

  const iso = (seconds) => new Date(seconds * 1000).toISOString();
  const dayOf = (seconds) => new Date(seconds * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

  // Without a pointer on the chart, its legend shows the last values.
  function tellLast(plot) {
    if (plot.cursor.idx == null) plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  }

  const columns = (chart) => [chart.x, ...chart.series.map((series) => series.values)];

  function options(chart, element) {
    const style = getComputedStyle(element);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const hasBars = chart.series.some((series) => series.shape === "bars");
    const axis = { stroke: colour("ink-soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const step = chart.x.length > 1 ? chart.x[1] - chart.x[0] : 60;
    const paths = { bars: uPlot.paths.bars({ size: [0.7, 48] }), steps: uPlot.paths.stepped({ align: 1 }), line: undefined };
    return {
      width: element.clientWidth,
      height: element.clientWidth < 480 ? 200 : 240,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      hooks: { setCursor: [tellLast], setData: [tellLast], ready: [tellLast] },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, low, high) => (hasBars || low === high ? [low - step / 2, high + step / 2] : [low, high]) },
        y: { range: (_, low, high) => (low === null ? [0, 100] : hasBars ? uPlot.rangeNum(Math.min(low, 0), Math.max(high, 0) || 1, 0.1, true) : uPlot.rangeNum(low, high, 0.1, true)) },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 64, size: 36, gap: 10, values: (_, splits, __, ___, gap) => once(splits.map((at) => (gap >= 86400 ? dayOf(at) : iso(at).slice(11, gap < 60 ? 19 : 16)))) },
        { ...axis, size: 56, ...(chart.money ? {} : { incrs: WHOLE }), values: (_, splits) => labels(splits.map((value) => (chart.money ? value / 100 : value))) },
      ],
      series: [
        { label: chart.days ? "Day" : "Time", value: (_, at) => (at === null ? "" : chart.days ? dayOf(at) : iso(at).slice(0, 16).replace("T", " ")) },
        ...chart.series.map((series) => ({
          label: series.label,
          stroke: colour(series.colour),
          fill: series.shape === "bars" ? colour(series.colour) : undefined,
          width: series.shape === "bars" ? 0 : 2,
          points: { show: series.values.length === 1 },
          paths: paths[series.shape],
          value: (_, value) => (value === null ? "" : chart.money ? amount.format(value / 100) : String(value)),
        })),
      ],
    };
  }

  function draw(element) {
    const chart = JSON.parse(element.dataset.chart);
    drawn.get(element)?.destroy();
    drawn.set(element, new uPlot(options(chart, element), columns(chart), element));
    told.set(element, element.dataset.chart);
    resized.observe(element);
  }

  // New data with the same series updates the chart in place, so that the pointer's position stays.
  function retell(element) {
    const [before, after] = [told.get(element), element.dataset.chart].map((text) => JSON.parse(text));
    if (before.series.map((series) => series.label).join() !== after.series.map((series) => series.label).join()) {
      draw(element);
    } else {
      told.set(element, element.dataset.chart);
      drawn.get(element).setData(columns(after));
    }
  }

  function drawNew() {
    for (const [element, plot] of drawn) {
      if (!element.isConnected) {
        resized.unobserve(element);
        plot.destroy();
        drawn.delete(element);
      }
    }
    for (const element of document.querySelectorAll("[data-chart]")) {
      if (!drawn.has(element)) draw(element);
      else if (told.get(element) !== element.dataset.chart) retell(element);
    }
  }

  function settle() {
    nameRoles();
    trim();
    drawNew();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => [...drawn.keys()].forEach(draw));
  document.addEventListener("htmx:after:swap", settle);
  settle();
})();
