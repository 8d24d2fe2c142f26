// Charts over time (uPlot), and two small ones drawn as SVG.
import { clockTime, color, el, number, shade, svg } from "./format.js";

const DAY = 86400;

export class TimeChart {
  // options: title, note, unit, digits, zero (start the axis at 0), days (x is known time), floor (least span of the axis), bound()
  constructor(parent, options) {
    this.options = options;
    this.legend = el("div", { class: "legend" });
    this.plot = el("div", { class: "plot" }, el("div", { class: "none" }, "nothing yet"));
    this.heading = el("h2", {}, options.title, el("small", {}, options.note ?? ""));
    parent.append(el("div", { class: "card" }, this.heading, this.legend, this.plot));
    this.ids = "";
    this.hover = null;
    new ResizeObserver(() => this.chart?.setSize(this.size())).observe(this.plot);
  }

  rename(title) { this.heading.firstChild.textContent = title; }

  size() { return { width: Math.max(120, this.plot.clientWidth), height: this.plot.clientHeight }; }

  // lines: [{ id, name, values, dash, faint }]; range: [from, to] of x; marks: [{ at, label }]
  show(t, lines, range, marks = []) {
    this.lines = lines;
    this.marks = marks;
    this.range = range;
    const ids = lines.map((line) => line.id).join("|");
    if (!lines.length || !t.length) return this.clear();
    if (ids !== this.ids || !this.chart) this.make(ids);
    this.chart.setData([t, ...lines.map((line) => line.values)], false);
    this.chart.setScale("x", { min: range[0], max: range[1] });
    this.tell();
  }

  clear() {
    this.chart?.destroy();
    this.chart = null;
    this.legend.replaceChildren();
    this.plot.replaceChildren(el("div", { class: "none" }, "nothing yet"));
  }

  restyle() { if (this.chart) { const data = this.chart.data; this.make(this.ids); this.chart.setData(data, false); this.chart.setScale("x", { min: this.range[0], max: this.range[1] }); } }

  make(ids) {
    this.chart?.destroy();
    this.plot.replaceChildren();
    this.ids = ids;
    const axis = { stroke: shade("soft"), grid: { stroke: shade("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", gap: 4 };
    this.chart = new uPlot({
      ...this.size(), padding: [8, 6, 0, 0], legend: { show: false },
      cursor: { y: false, points: { size: 5 }, ...(this.options.days ? {} : { sync: { key: "seconds" } }), drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (_, low, high) => this.yRange(low, high) } },
      axes: [
        { ...axis, size: 22, space: 48, values: (_, ticks) => this.xLabels(ticks) },
        { ...axis, size: 44, space: 26, values: (_, ticks) => ticks.map((v) => this.yLabel(v)) },
      ],
      series: [{}, ...this.lines.map((line, i) => ({
        stroke: line.faint ? shade("faint") : color(line.color ?? i), width: 1.4, points: { show: false }, dash: line.dash ? [4, 3] : undefined,
        spanGaps: Boolean(this.options.days),
      }))],
      hooks: { drawAxes: [(u) => this.drawMarks(u)], setCursor: [(u) => { this.hover = u.cursor.idx; this.tell(); }] },
    }, [[], ...this.lines.map(() => [])], this.plot);
  }

  yRange(low, high) {
    const bound = this.options.bound?.();
    if (low === null || high === null) return [0, 1];
    if (bound !== undefined && bound !== null) { low = Math.min(low, bound); high = Math.max(high, bound); }
    if (this.options.zero) return [0, Math.max(high * 1.12, this.options.floor ?? 1)];
    const span = Math.max(high - low, this.options.floor ?? 0.02), middle = (high + low) / 2;
    return [middle - span * 0.6, middle + span * 0.6];
  }

  yLabel(value) {
    if (value >= 1e6) return `${number(value / 1e6, 1)}M`;
    if (value >= 1e4) return `${number(value / 1e3, 0)}k`;
    return this.options.digits && value ? value.toFixed(2) : number(value);
  }

  xLabels(ticks) {
    if (!this.options.days) return ticks.map((s) => clockTime(s * 1e6).slice(0, (this.range[1] - this.range[0]) > 300 ? 5 : 8));
    const wide = this.range[1] - this.range[0] > 1.5 * DAY;
    const style = wide ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
    return ticks.map((s, i) => { const text = new Date(s * 1000).toLocaleString("en-GB", { ...style, timeZone: "UTC" }); return i && wide && s % DAY ? "" : text; });
  }

  drawMarks(u) {
    const { ctx, bbox } = u;
    const bound = this.options.bound?.();
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top - 10, bbox.width, bbox.height + 10); ctx.clip();
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.strokeStyle = ctx.fillStyle = shade("faint");
    ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    for (const mark of this.marks) {
      const x = Math.round(u.valToPos(mark.at, "x", true));
      if (x < bbox.left) continue;
      ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
      ctx.fillText(mark.label, x + 3 * devicePixelRatio, bbox.top + 8 * devicePixelRatio);
    }
    if (bound !== undefined && bound !== null) {
      const y = Math.round(u.valToPos(bound, "y", true));
      ctx.strokeStyle = shade("warn");
      ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
    }
    ctx.restore();
  }

  tell() {
    const at = this.hover;
    const unit = this.options.unit ? ` ${this.options.unit}` : "";
    this.legend.replaceChildren(...this.lines.map((line, i) => {
      const key = el("i", { background: line.faint ? shade("faint") : color(line.color ?? i) });
      const value = at === null || at === undefined ? line.values.at(-1) : line.values[at];
      return el("span", {}, key, `${line.name} `, el("b", {}, number(value, this.options.digits) + (value === null || value === undefined ? "" : unit)));
    }));
  }
}

class Drawing {
  constructor(parent, title, note) {
    this.legend = el("div", { class: "legend" });
    this.plot = el("div", { class: "plot" });
    parent.append(el("div", { class: "card" }, el("h2", {}, title, el("small", {}, note)), this.legend, this.plot));
  }

  canvas() {
    const width = Math.max(160, this.plot.clientWidth), height = this.plot.clientHeight;
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
    this.plot.replaceChildren(drawing);
    return { drawing, width, height };
  }

  axis(drawing, left, right, bottom) {
    for (const v of [0, 0.25, 0.5, 0.75, 1]) {
      const x = left + v * (right - left);
      drawing.append(svg("line", { x1: x, x2: x, y1: 4, y2: bottom, stroke: shade("grid") }));
      drawing.append(svg("text", { x, y: bottom + 15, "text-anchor": v === 0 ? "start" : v === 1 ? "end" : "middle" }, String(v)));
    }
  }

  none() { this.legend.replaceChildren(); this.plot.replaceChildren(el("div", { class: "none" }, "nothing yet")); }
}

export class Scores extends Drawing {
  constructor(parent) { super(parent, "Score distribution", "latest predictions, and the model's first"); }

  show(scores) {
    if (!scores || !scores.recent.some((v) => v)) return this.none();
    const { drawing, width, height } = this.canvas();
    const bottom = height - 20, n = scores.recent.length, top = Math.max(...scores.recent, ...scores.first) * 1.08, step = width / n;
    const y = (v) => bottom - (v / top) * (bottom - 6);
    this.axis(drawing, 0, width, bottom);
    scores.recent.forEach((v, i) => drawing.append(svg("rect", {
      x: i * step + 0.5, width: Math.max(1, step - 1), y: y(v), height: bottom - y(v), fill: color(0), opacity: 0.55 })));
    const outline = scores.first.map((v, i) => `${i ? "L" : "M"}${i * step},${y(v)}H${(i + 1) * step}`).join("");
    drawing.append(svg("path", { d: outline, fill: "none", stroke: color(2), "stroke-width": 1.5 }));
    this.legend.replaceChildren(
      el("span", {}, el("i", { class: "box", background: color(0) }), "latest"), el("span", {}, el("i", { background: color(2) }), "first"));
  }
}

export class Calibration extends Drawing {
  constructor(parent) { super(parent, "Calibration", "observed share by tenth of the score"); }

  show(tenths) {
    if (!tenths?.length) return this.none();
    const { drawing, width, height } = this.canvas();
    const bottom = height - 20, left = 30, x = (v) => left + v * (width - left), y = (v) => bottom - v * (bottom - 6);
    this.axis(drawing, left, width, bottom);
    for (const v of [0, 0.5, 1]) {
      drawing.append(svg("line", { x1: left, x2: width, y1: y(v), y2: y(v), stroke: shade("grid") }));
      drawing.append(svg("text", { x: 0, y: y(v) + 4 }, `${100 * v} %`));
    }
    drawing.append(svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), stroke: shade("faint"), "stroke-dasharray": "3 3" }));
    const path = tenths.map((t, i) => `${i ? "L" : "M"}${x(t.score)},${y(t.observed)}`).join("");
    drawing.append(svg("path", { d: path, fill: "none", stroke: color(1), "stroke-width": 1.5 }));
    for (const t of tenths) drawing.append(svg("circle", { cx: x(t.score), cy: y(t.observed), r: 3, fill: color(1) }));
    const gap = tenths.reduce((sum, t) => sum + t.n * Math.abs(t.score - t.observed), 0) / tenths.reduce((sum, t) => sum + t.n, 0);
    this.legend.replaceChildren(el("span", {}, "mean gap ", el("b", {}, number(gap, 3))));
  }
}
