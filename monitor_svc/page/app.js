// Takes the state once, then a tick a second; keeps the history of the charts and draws everything.
import { age, el, moment, number, percent, short, shortMoment } from "./format.js";
import { Calibration, Scores, TimeChart } from "./charts.js";
import { marksOf, showTimeline } from "./timeline.js";
import { showTables } from "./tables.js";

const SPANS = [["2 min", 120], ["10 min", 600], ["30 min", 1800]];
const STALE_S = 10, LOST_S = 6;
const $ = (id) => document.getElementById(id);
let state = null, history = { t: [] }, offset = 0, heard = 0, span = Number(localStorage.getItem("span")) || 600;

const now = () => Date.now() * 1000 + offset;
const charts = makeCharts($("charts"));
makeSpans();
makeTheme();
load();
setInterval(showLink, 1000);

function makeCharts(node) {
  const model = () => state?.models[0];
  return {
    logged: new TimeChart(node, { title: "Throughput", note: "records/s into the log, by source", zero: true }),
    freshness: new TimeChart(node, { title: "Freshness", note: "sent to readable", unit: "ms", zero: true }),
    latency: new TimeChart(node, { title: "Prediction latency", note: "inside the predictor", unit: "ms", zero: true }),
    auc: new TimeChart(node, { title: "AUC", note: "as horizons pass", digits: 3, days: true, floor: 0.06, bound: () => model()?.good_enough[measures(model())[0].id] }),
    loss: new TimeChart(node, { title: "Log loss", note: "as horizons pass", digits: 3, days: true, floor: 0.06, bound: () => model()?.good_enough[measures(model())[1].id] }),
    predictions: new TimeChart(node, { title: "Predictions", note: "per second", zero: true }),
    scores: new Scores(node),
    calibration: new Calibration(node),
    lag: new TimeChart(node, { title: "Lag", note: "messages not yet handled, by service", zero: true, floor: 10 }),
  };
}

async function load() {
  try {
    const answer = await fetch("v1/state");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    take(await answer.json());
    listen();
  } catch (error) {
    console.warn("state not read", error);
    setTimeout(load, 2000);
  }
}

function listen() {
  const stream = new EventSource("v1/stream");
  let lost = false;
  stream.onmessage = (event) => take(JSON.parse(event.data));
  stream.onerror = () => { lost = true; };
  stream.onopen = () => { if (lost) { stream.close(); load(); } };
}

function take(next) {
  heard = Date.now();
  offset = next.at_us - heard * 1000;
  state = next;
  if (next.history) history = next.history;
  else extend(next.second - 3, next.values);
  draw();
}

function extend(second, values) {
  if (history.t.length && history.t.at(-1) >= second) return;
  history.t.push(second);
  const size = history.t.length;
  for (const id of new Set([...Object.keys(history), ...Object.keys(values)])) {
    if (id === "t") continue;
    history[id] ??= Array(size - 1).fill(null);
    history[id].push(values[id] ?? null);
  }
  if (size > 2100) for (const column of Object.values(history)) column.splice(0, size - 1800);
}

const lines = (prefix) => Object.keys(history).filter((id) => id === prefix || id.startsWith(`${prefix}:`) || id.startsWith(`${prefix}.`)).sort()
  .map((id, i) => ({ id, name: id === prefix ? prefix : id.slice(prefix.length + 1), values: history[id], color: i }));

function draw() {
  if (!state || document.hidden) return;
  const end = now() / 1e6 - 2, start = Math.max(end - span, Math.min(history.t[0] ?? end - 60, end - 60)), range = [start, end], marks = marksOf(state);
  showHeader();
  showNumbers();
  for (const id of ["logged", "freshness", "latency", "predictions", "lag"]) charts[id].show(history.t, lines(id), range, marks);
  showQuality(state.models[0]);
  showTimeline($("timeline"), state, range);
  showTables($("tables"), state, now());
}

// What measures a model: of probabilities the one pair, of numbers the other.
const MEASURES = {
  true: [{ id: "auc", title: "AUC", atLeast: true }, { id: "log_loss", title: "Log loss" }],
  false: [{ id: "rmse", title: "RMSE" }, { id: "mae", title: "MAE" }],
};
function measures(model) { return MEASURES[model?.binary !== false]; }

function showQuality(model) {
  const points = model?.points, [one, other] = measures(model);
  charts.auc.rename(one.title);
  charts.loss.rename(other.title);
  if (!points?.known_us.length) { charts.auc.clear(); charts.loss.clear(); charts.scores.show(model?.scores); charts.calibration.show(null); return; }
  const first = points.labelled.findIndex((n) => n >= 0.02 * points.labelled.at(-1)); // before it, chance moves the lines more than the model does
  const t = points.known_us.slice(first).map((us) => us / 1e6), range = [t[0], Math.max(t.at(-1), t[0] + 60)];
  const pair = (name) => [
    { id: "rolling", name: "latest", values: points[`${name}_rolling`].slice(first) }, { id: "all", name: "all", values: points[`${name}_all`].slice(first), dash: true, color: 4 }];
  charts.auc.show(t, pair(one.id), range);
  charts.loss.show(t, pair(other.id), range);
  charts.scores.show(model.scores);
  charts.calibration.show(model.calibration);
}

function showHeader() {
  const model = state.models[0];
  document.title = `${state.pipeline.name} · Twinstream`;
  $("pipeline").textContent = state.pipeline.name;
  $("release").textContent = model?.release || "none yet";
  $("epoch").textContent = state.epochs.length ? String(state.epochs.at(-1).epoch) : "none yet";
  $("definition").textContent = state.pipeline.digest.slice(0, 8);
  $("clock-name").textContent = state.pipeline.clock === "replay" ? "replayed to" : "labels known to";
  $("known").textContent = moment(state.known_us);
}

// The newest value of a line and its age in seconds.
function newest(id) {
  const values = history[id] ?? [];
  for (let i = values.length - 1; i >= 0; i -= 1) if (values[i] !== null) return { value: values[i], age: now() / 1e6 - history.t[i] };
  return { value: null, age: Infinity };
}

function newestSum(prefix) {
  const parts = lines(prefix).map((line) => newest(line.id)).filter((part) => part.age < 60);
  return parts.length ? { value: parts.reduce((sum, part) => sum + part.value, 0), age: Math.min(...parts.map((part) => part.age)) } : { value: null, age: Infinity };
}

const p50 = (line) => { const { value } = newest(`${line}.p50`); return value === null ? "" : `p50 ${number(value)} ms`; };

function showNumbers() {
  const model = state.models[0], total = (name) => state.sources.reduce((sum, s) => sum + s[name], 0);
  const logged = newestSum("logged"), fresh = newest("freshness.p99"), slow = newest("latency.p99"), asked = newest("predictions"), seam = newest("seam_difference");
  const deadLetters = Object.values(state.dead_letters.total).reduce((a, b) => a + b, 0);
  const [one, other] = measures(model), latest = (measure) => model?.now[`${measure.id}_rolling`] ?? null, all = (measure) => number(model?.now[`${measure.id}_all`], 3);
  const bound = model?.good_enough[one.id], missed = latest(one) !== null && bound !== undefined && (one.atLeast ? latest(one) < bound : latest(one) > bound);
  const labelAge = model?.labelled ? `as of ${shortMoment(model.last_labelled_us)}` : "no label yet";
  $("numbers").replaceChildren(
    cell("Records / s", short(logged.value), "", `${short(total("logged"))} in all`, logged.age),
    cell("Freshness p99", number(fresh.value), "ms", p50("freshness"), fresh.age),
    cell("Prediction p99", number(slow.value), "ms", p50("latency"), slow.age),
    cell("Predictions / s", short(asked.value), "", `${short(model?.predictions ?? 0)} so far`, asked.age),
    cell(one.title, number(latest(one), 3), bound === undefined ? "" : `${one.atLeast ? "≥" : "≤"} ${bound}`, `all ${all(one)}`, labelAge, missed ? "bad" : ""),
    cell(other.title, number(latest(other), 3), "", `all ${all(other)}`, labelAge),
    cell("Labelled", short(model?.labelled ?? 0), "", `${short(model?.pending ?? 0)} waiting · ${short(model?.labels.missing ?? 0)} missing`, model?.binary === false ? labelAge : `${percent(model?.base_rate)} true`),
    seam.value === null
      ? cell("Dead letters", short(deadLetters), "", deadLetters ? "see the table" : "nothing refused", "")
      : cell("Seam difference", number(seam.value), "", `${short(deadLetters)} dead letters`, seam.age, seam.value === 0 ? "good" : "bad"),
  );
}

// `when`: age in seconds, or a text.
function cell(name, value, unit, more, when, mood = "") {
  const old = typeof when === "number" && Number.isFinite(when) && when > STALE_S;
  const text = typeof when === "number" ? (Number.isFinite(when) ? age(when) : "no value yet") : when;
  return el("div", { class: `number ${old ? "stale" : mood}` },
    el("div", { class: "name" }, name), el("div", { class: "value" }, value, el("small", {}, value === "–" ? "" : unit)),
    el("div", { class: "more" }, more), el("div", { class: "age" }, text));
}

function showLink() {
  const silent = (Date.now() - heard) / 1000, lost = heard > 0 && silent > LOST_S;
  const catching = state && !state.caught_up;
  $("link").className = `link ${lost ? "lost" : !heard || catching ? "" : "live"}`;
  $("link").lastElementChild.textContent = !heard ? "connecting" : lost ? `silent for ${Math.round(silent)} s` : catching ? "reading the past" : "live";
  document.body.classList.toggle("lost", lost);
  if (lost && state) showNumbers();
}

function makeSpans() {
  const show = () => $("span").replaceChildren(...SPANS.map(([name, seconds]) => {
    const button = el("button", { type: "button", "aria-pressed": String(seconds === span) }, name);
    button.onclick = () => { span = seconds; localStorage.setItem("span", seconds); show(); draw(); };
    return button;
  }));
  show();
}

function makeTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme");
    document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
    for (const chart of Object.values(charts)) chart.restyle?.();
    draw();
  };
  $("theme").onclick = () => { localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark"); apply(); };
  system.addEventListener("change", () => { localStorage.removeItem("theme"); apply(); });
  document.addEventListener("visibilitychange", draw);
  apply();
}
