// How long runs took, drawn from the table beside the plot. Without it the table says the same.
"use strict";
(() => {
  const HEIGHT = 220;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const words = (seconds) => {
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 120) return `${+seconds.toFixed(1)} s`;
    return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${+(seconds / 3600).toFixed(1)} h`;
  };
  // Times as the page tells them: UTC, the day where a mark is a day away from the next.
  const DAY = 86_400;
  const moment = (seconds, step) => {
    const text = new Date(seconds * 1000).toUTCString();
    const day = `${Number(text.slice(5, 7))} ${text.slice(8, 11)}`;
    return step >= DAY || seconds % DAY === 0 ? day : text.slice(17, step < 60 ? 25 : 22);
  };
  let drawn = [];

  const draw = (box) => {
    const rows = [...document.querySelectorAll(`${box.dataset.plot} tr[data-at]`)].reverse();
    const times = rows.map((row) => Number(row.dataset.at));
    const took = rows.map((row) => Number(row.dataset.secs));
    if (times.length < 2 || typeof uPlot === "undefined") return;
    const usual = Number(box.dataset.usual) || null;
    const axis = { stroke: color("--ink-3"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "11px system-ui" };
    const series = [{}, { label: "took", stroke: color("--ink-2"), width: 1.5, points: { show: true, size: 5, fill: color("--panel") } }];
    const data = [times, took];
    if (usual) {
      series.push({ label: "usual", stroke: color("--accent"), width: 1, dash: [5, 4], points: { show: false } });
      data.push(times.map(() => usual));
    }
    const plot = new uPlot({
      width: box.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      // A single run has no span of its own, and the library would give it years.
      scales: { x: { range: (of, least, most) => (of.data[0].length > 1 ? [least, most] : [least - 60, least]) }, y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
      axes: [{ ...axis, space: 70, values: (_, ticks, __, ___, step) => ticks.map((tick) => moment(tick, step)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map(words) }],
      series,
    }, data, box);
    box.dataset.drawn = "yes";
    drawn.push({ box, plot });
  };

  const drawAll = () => {
    drawn = drawn.filter(({ box, plot }) => document.contains(box) || plot.destroy());
    for (const box of document.querySelectorAll("[data-plot]:not([data-drawn])")) draw(box);
  };
  document.body.addEventListener("htmx:afterSettle", drawAll);
  addEventListener("resize", () => {
    for (const { box, plot } of drawn) plot.setSize({ width: box.clientWidth, height: HEIGHT });
  });
  // Colours follow the theme.
  new MutationObserver(() => {
    for (const { box, plot } of drawn.splice(0)) {
      plot.destroy();
      delete box.dataset.drawn;
    }
    drawAll();
  }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  drawAll();
})();
