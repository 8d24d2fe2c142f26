// Epochs, models and drift as marks on one time axis, the same one as the charts above it.
import { clockTime, color, shade, svg } from "./format.js";

const LANES = [
  { name: "epochs", kinds: ["epoch"], color: 0 },
  { name: "training", kinds: ["trained", "retrain requested"], color: 4 },
  { name: "models", kinds: ["promoted", "rejected", "rolled back", "held", "released", "passed over", "shadow", "canary"], color: 1 },
  { name: "drift", kinds: ["drift"], color: 2 },
  { name: "dead letters", kinds: ["dead_letters"], color: 3 },
];
const LEFT = 74, ROW = 22;

export function showTimeline(node, state, range) {
  const marks = [
    ...state.timeline,
    ...together(state.drift_events).map((found) => ({ kind: "drift", what: found.map((d) => d.series).join(", "), at_us: found[0].detected_at_us })),
    ...state.dead_letters.recent.map((p) => ({ kind: "dead_letters", what: `${p.service}: ${p.reason}`, at_us: p.at_us, quiet: true })),
  ];
  const width = Math.max(300, node.clientWidth), height = LANES.length * ROW + 20;
  const x = (seconds) => LEFT + ((seconds - range[0]) / (range[1] - range[0])) * (width - LEFT - 8);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, height });
  LANES.forEach((lane, i) => drawLane(drawing, lane, i * ROW + ROW / 2, marks, range, x, width));
  drawTimes(drawing, range, x, height);
  node.replaceChildren(drawing);
}

// Drift found at the same moment is one mark.
function together(events) {
  const groups = new Map();
  for (const event of events) groups.set(event.detected_at_us, [...(groups.get(event.detected_at_us) ?? []), event]);
  return [...groups.values()];
}

function drawLane(drawing, lane, y, marks, range, x, width) {
  drawing.append(svg("text", { class: "lane", x: 0, y: y + 4 }, lane.name));
  drawing.append(svg("line", { x1: LEFT, x2: width, y1: y, y2: y, stroke: shade("line") }));
  const here = marks.filter((m) => lane.kinds.includes(m.kind) && m.at_us / 1e6 >= range[0]).sort((a, b) => a.at_us - b.at_us);
  here.forEach((mark, i) => {
    const at = x(mark.at_us / 1e6), next = i + 1 < here.length ? x(here[i + 1].at_us / 1e6) : width;
    const bad = ["rejected", "rolled back", "held", "passed over", "retrain requested"].includes(mark.kind);
    const dot = svg("circle", { cx: at, cy: y, r: mark.quiet ? 3 : 4.5, fill: bad ? shade("warn") : color(lane.color) });
    dot.append(svg("title", {}, `${clockTime(mark.at_us)}  ${mark.kind}: ${mark.what}`));
    drawing.append(dot);
    const text = label(mark), room = (next - at - 14) / 5.8;
    if (mark.quiet || room < 3) return;
    const shown = text.length > room ? `${text.slice(0, Math.max(2, room - 1))}…` : text;
    drawing.append(svg("rect", { x: at + 6, y: y - 8, width: shown.length * 5.8 + 4, height: 16, fill: shade("card") }));
    drawing.append(svg("text", { class: "what", x: at + 8, y: y + 4 }, shown));
  });
}

function label(mark) {
  const digest = mark.digest ? mark.digest.slice(0, 8) : "";
  const auc = mark.metrics?.auc ?? mark.metrics?.test_auc;
  if (mark.kind === "epoch" || mark.kind === "drift") return mark.what;
  if (mark.kind === "promoted") return `${digest} promoted${auc ? `, AUC ${auc.toFixed(3)}` : ""}`;
  if (mark.kind === "trained") return `${digest} ${mark.what}`;
  return `${mark.kind} ${digest} ${mark.what}`;
}

function drawTimes(drawing, range, x, height) {
  const span = range[1] - range[0];
  const step = [15, 30, 60, 120, 300, 600, 1800, 3600].find((s) => span / s <= 8) ?? 7200;
  for (let s = Math.ceil(range[0] / step) * step; s <= range[1]; s += step) {
    drawing.append(svg("text", { x: x(s), y: height - 3, "text-anchor": "middle" }, clockTime(s * 1e6).slice(0, step < 60 ? 8 : 5)));
  }
}

export const marksOf = (state) => state.timeline
  .filter((m) => m.kind === "epoch" || m.kind === "promoted" || m.kind === "rolled back")
  .map((m) => ({ at: m.at_us / 1e6, label: m.kind === "epoch" ? m.what.split(" ")[1] ? `e${m.what.split(" ")[1]}` : "epoch" : "model" }));

