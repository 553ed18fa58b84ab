// The demo page's script for what htmx does not do: the steps of the stake, the balance chart, and a short ledger.
"use strict";

(() => {
  const STAKES = ["0.10", "0.20", "0.50", "1.00", "2.00", "5.00", "10.00", "20.00", "50.00", "100.00"];
  const KEPT_ROWS = 60;
  const KEPT_POINTS = 120;

  // The buttons − and + select the next lower or higher stake of the list, also from an amount that is not in it.
  const stake = document.getElementById("stake");
  for (const button of document.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      const now = Number(stake.value) || 0;
      const up = Number(button.dataset.step) > 0;
      const next = up ? STAKES.find((each) => Number(each) > now) : STAKES.findLast((each) => Number(each) < now);
      stake.value = next ?? (up ? STAKES.at(-1) : STAKES[0]);
    });
  }

  // The class "played" starts the animations of a game. It marks a played round, and not a change of the game.
  document.addEventListener("htmx:before:request", (event) => {
    const { sourceElement } = event.detail.ctx;
    const isPlay = sourceElement.id === "table";
    if (isPlay) document.getElementById("cabinet").setAttribute("aria-busy", "true");
    if (sourceElement.name === "game") document.getElementById("outcome").textContent = "Choose a stake and play.";
    if (isPlay || sourceElement.name === "game") document.getElementById("stage").classList.toggle("played", isPlay);
  });
  document.addEventListener("htmx:finally:request", () => document.getElementById("cabinet").removeAttribute("aria-busy"));

  // The balance chart: one step for each ledger row.
  const amount = new Intl.NumberFormat("en", { minimumFractionDigits: 2 });
  let plot = null, drawnIn = null, points = [];

  function draw(element) {
    plot?.destroy();
    drawnIn = element;
    const style = getComputedStyle(element);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const axis = { stroke: colour("ink-soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    plot = new uPlot({
      width: element.clientWidth,
      height: element.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false }, y: { range: (_, low, high) => [low - (high - low || 100) * 0.15, high + (high - low || 100) * 0.15] } },
      axes: [{ show: false }, { ...axis, size: 72, values: (_, ticks) => ticks.map((cents) => amount.format(cents / 100)) }],
      series: [{}, { stroke: colour("accent"), fill: colour("accent-wash"), width: 2, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }],
    }, columns(), element);
  }

  // The last value is repeated, so that the newest step has a length in the chart.
  function columns() {
    const cents = points.map(([, , total]) => total);
    return [[...points.keys(), points.length], [...cents, cents.at(-1)]];
  }

  // Update the chart after each swap: draw it again for another player, else append the rows that the feed added.
  function follow() {
    const element = document.getElementById("chart");
    if (element !== drawnIn) {
      points = JSON.parse(element.dataset.points);
      draw(element);
    }
    const rows = [...document.querySelectorAll("#ledger > .entry")];
    const last = points.at(-1)?.[0] ?? 0;
    const news = rows.filter((row) => Number(row.dataset.seq) > last).reverse();
    if (news.length) {
      points.push(...news.map(({ dataset }) => [Number(dataset.seq), Number(dataset.at), Number(dataset.total)]));
      points = points.slice(-KEPT_POINTS);
      plot.setData(columns());
    }
    for (const row of rows.slice(KEPT_ROWS)) row.remove();
  }

  document.addEventListener("htmx:after:swap", follow);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(drawnIn));
  addEventListener("resize", () => plot.setSize({ width: drawnIn.clientWidth, height: drawnIn.clientHeight }));
  follow();

  // Scroll the result of a button into view, because on a phone it is often below the button.
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const bringIntoView = (element) => element.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  document.addEventListener("htmx:after:settle", (event) => {
    const { target } = event;
    if (target.matches(".letters, .replayed")) bringIntoView(target);
    if (target.id === "story" && document.activeElement?.name === "trick") bringIntoView(target.closest(".card"));
  });

  // A link from the report to an entry also opens the entry.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.seq");
    const details = link && document.querySelector(`${link.getAttribute("href")} details`);
    if (details) details.open = true;
  });
})();
