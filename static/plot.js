// What happened over time: latencies of a probe, calls of a source, deliveries. Failures and what was not seen are bands. The table below a plot says the same.
"use strict";
(() => {
  const spans = document.querySelector("[data-plot-spans]");
  const boxes = [...document.querySelectorAll("[data-plot]")];
  if (!boxes.length || !window.uPlot) return;
  const HEIGHT = 220;
  // Seconds. A single reading has no span of its own, and the library would give it years.
  const SPAN_LEAST = 60;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const millis = (value) => {
    if (value == null) return "–";
    if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  };
  // What the numbers count, and the least that the axis reaches.
  const UNITS = {
    ms: { write: millis, least: 1 },
    count: { write: (value) => (value == null ? "–" : value.toLocaleString("en")), least: 4 },
    percent: { write: (value) => (value == null ? "–" : `${value} %`), least: 100 },
  };
  const SHADES = { "name lookup": 1, connection: 2, TLS: 3, answer: 4, transfer: 5, rest: 6, median: 4, "95% are below": 2, longest: 3, accepted: 3, duplicates: 6, refused: 4, "at first try": 2, arrived: 3, "attempts answered well": 6 };
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const two = (number) => String(number).padStart(2, "0");
  const told = (seconds) => {
    const at = new Date(seconds * 1000);
    return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())} UTC`;
  };
  // The day where it begins or the axis does, else the time; seconds where the ticks are closer than a minute.
  const moments = (_, ticks) => ticks.map((seconds, index) => {
    const at = new Date(seconds * 1000);
    const day = `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
    const close = ticks.length > 1 && ticks[1] - ticks[0] < 60;
    const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}${close ? `:${two(at.getUTCSeconds())}` : ""}`;
    const isFirst = index === 0 || new Date(ticks[index - 1] * 1000).getUTCDate() !== at.getUTCDate();
    if (ticks.length > 1 && ticks[1] - ticks[0] >= 86400) return day;
    return isFirst ? `${time}\n${day}` : time;
  });
  // The uppermost first, so that each lower one covers the sum of those below it.
  const columns = ({ at, series, stacked }) => {
    const sums = at.map(() => 0);
    const drawn = series.map(({ name, values }) => ({
      name,
      values,
      heights: values.map((value, index) => {
        if (value == null) return null;
        if (!stacked) return value;
        sums[index] += value;
        return sums[index];
      }),
    }));
    return stacked ? drawn.reverse() : drawn;
  };

  // What was not seen is hatched: it says nothing, and is no failure.
  const hatch = (ctx) => {
    const side = Math.round(8 * devicePixelRatio);
    const tile = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const pen = tile.getContext("2d");
    pen.fillStyle = style("--unknown-soft");
    pen.fillRect(0, 0, side, side);
    pen.globalAlpha = .6;
    pen.strokeStyle = style("--unknown");
    pen.lineWidth = devicePixelRatio;
    // Beyond the corners, so that tiles join.
    for (const at of [-side, 0, side]) {
      pen.moveTo(at - 1, side + 1);
      pen.lineTo(at + side + 1, -1);
    }
    pen.stroke();
    return ctx.createPattern(tile, "repeat");
  };

  // Draws one plot; what it returns loads another stretch of time into it.
  const plotIn = (box) => {
    const marks = box.parentElement.querySelector("[data-plot-marks]");
    let data = null;
    let plot = null;
    const unit = () => UNITS[data.unit ?? "ms"];

    const bands = (chart) => {
      const { ctx, bbox } = chart;
      const hatched = hatch(ctx);
      ctx.save();
      data.at.forEach((at, index) => {
        const [bad, blind] = [data.bad[index], data.blind[index]];
        if (!bad && !blind) return;
        const left = chart.valToPos(at, "x", true);
        const width = Math.max(chart.valToPos(at + data.step, "x", true) - left, 2);
        ctx.fillStyle = blind ? hatched : style("--bad-soft");
        ctx.fillRect(left, bbox.top, width, bbox.height);
        if (!bad) return;
        ctx.fillStyle = style("--bad");
        ctx.fillRect(left, bbox.top, width, 6);
      });
      ctx.restore();
    };
    const marked = (index) => [data.bad[index] && "failed", data.blind[index] && "not seen"].filter(Boolean).map((word) => `, ${word}`).join("");
    const showMarks = () => {
      const here = (name) => Boolean(data?.[name]?.some(Boolean));
      if (!marks) return;
      marks.hidden = !here("bad") && !here("blind");
      for (const mark of marks.children) mark.hidden = !here(mark.dataset.mark);
    };

    const draw = () => {
      plot?.destroy();
      box.replaceChildren();
      showMarks();
      if (!data || !data.at.length) {
        box.append(Object.assign(document.createElement("p"), { className: "muted", textContent: box.dataset.plotNone ?? "No readings of this time are written yet." }));
        return;
      }
      const drawn = columns(data);
      const axis = { stroke: style("--ink-3"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1 }, font: "12px system-ui" };
      const series = drawn.map(({ name, values }) => {
        const colour = style(`--p${SHADES[name] ?? 6}`);
        return {
          label: name,
          stroke: colour,
          width: data.stacked ? 1 : 1.5,
          fill: data.stacked ? colour : undefined,
          dash: name === "longest" ? [4, 4] : undefined,
          points: { show: data.at.length < 3 },
          value: (_, __, ___, index) => (index == null ? "" : unit().write(values[index])),
        };
      });
      plot = new window.uPlot({
        width: box.clientWidth,
        height: HEIGHT,
        cursor: { drag: { x: true, y: false } },
        scales: {
          x: { range: (of, least, most) => (of.data[0].length > 1 ? [least, most] : [least - SPAN_LEAST, least]) },
          y: { range: (_, __, most) => [0, Math.max(most * 1.05, unit().least)] },
        },
        // Times are UTC on every page.
        tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        axes: [{ ...axis, values: moments }, { ...axis, size: 64, values: (_, ticks) => ticks.map(unit().write) }],
        series: [{ label: "time", value: (_, at, __, index) => (at == null ? "" : `${told(at)}${marked(index)}`) }, ...series],
        hooks: { drawClear: [bands] },
      }, [data.at, ...drawn.map(({ heights }) => heights)], box);
    };

    const load = async (span) => {
      const answer = await fetch(`${box.dataset.plot}?span=${span}`).catch(() => null);
      if (!answer?.ok) return;
      data = await answer.json();
      draw();
    };
    let width = box.clientWidth;
    addEventListener("resize", () => {
      if (box.clientWidth === width) return;
      width = box.clientWidth;
      plot?.setSize({ width, height: HEIGHT });
    });
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return load;
  };

  const loads = boxes.map(plotIn);
  const load = (span) => loads.forEach((one) => one(span));
  spans.hidden = false;
  spans.addEventListener("click", (event) => {
    const button = event.target.closest("[data-span]");
    if (!button) return;
    for (const other of spans.children) other.setAttribute("aria-pressed", String(other === button));
    load(button.dataset.span);
  });
  load("day");
})();
