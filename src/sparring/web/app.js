"use strict";

// The page: a grid of samples, one sample shown large, and the run's metrics. It uses a global `backend` that the next
// script defines: remote.js for `sparring explore`, local.js for pages that contain the model.
const App = (() => {
  const $ = (id) => document.getElementById(id);
  const MOST_SEED = 2 ** 32 - 1;
  const MOST_INDEX = 2 ** 31 - 1;
  const RANGE = 4; // a direction's slider goes from minus to plus this

  let model;
  let condition; // the model's kind of condition, from conditions.js
  let chooser; // its elements, and a function that marks the choice
  let state = { seed: 0, condition: null, psi: 1 };
  let open = null; // the point shown large
  let scale = null; // for series: the grid's scale, used for the large sample too
  let kept = []; // the stored stars, also those of other models
  let starred = []; // the stars of this model
  const ends = { a: null, b: null };
  let rows = [];
  let numbers = [];
  let lastNews = 0;
  const missed = { rows: false, weights: false }; // updates while the page was hidden

  // ---- points ---------------------------------------------------------------------------------------------------

  const isMixture = (point) => "from" in point;

  function truncated(point) {
    if (isMixture(point)) return { ...point, from: truncated(point.from), to: truncated(point.to) };
    return { ...point, psi: state.psi };
  }

  function nameOf(point) {
    if (isMixture(point)) {
      const [from, to] = [nameOf(point.from), nameOf(point.to)];
      return Strings.get("mixture", { t: Math.round(100 * point.t), from, to });
    }
    const first = "latent" in point
      ? Strings.get("projected", { n: point.latent })
      : Strings.get("sample", { seed: point.seed, n: point.index });
    const parts = [first];
    if (condition.has && (point.condition !== null || !("latent" in point))) {
      parts.push(condition.name(point.condition ?? condition.turn(point.index)));
    }
    if (point.psi !== 1) parts.push(Strings.get("truncated", { psi: Strings.number(point.psi) }));
    if (point.offsets.some((offset) => offset !== 0)) parts.push(Strings.get("moved"));
    return parts.join(", ");
  }

  // Whether a point, maybe stored by an earlier page, is valid for this model and its backend.
  function fits(point) {
    const number = (value, least, most) => typeof value === "number" && value >= least && value <= most;
    const whole = (value, most) => Number.isInteger(value) && number(value, 0, most);
    const has = (...keys) => Object.keys(point).sort().join() === keys.join();
    if (typeof point !== "object" || point === null) return false;
    if (has("from", "t", "to")) {
      return number(point.t, 0, 1) && [point.from, point.to].every((end) => fits(end) && !isMixture(end));
    }
    const placed = has("condition", "index", "offsets", "psi", "seed")
      ? whole(point.seed, MOST_SEED) && whole(point.index, MOST_INDEX)
      : has("condition", "latent", "offsets", "psi") && whole(point.latent, model.starts - 1);
    return placed && (point.condition === null || condition.fits(point.condition)) && number(point.psi, 0, 2)
      && Array.isArray(point.offsets) && point.offsets.length === model.directions
      && point.offsets.every((offset) => number(offset, -100, 100));
  }

  const still = () => new Array(model.directions).fill(0);

  // The number of samples in the grid.
  function most() {
    const size = model.shape.reduce((product, side) => product * side, 1);
    const pictures = size <= 3 * 64 * 64 ? 64 : size <= 3 * 128 * 128 ? 36 : 16;
    return { pictures, series: 40, clips: size <= 3 * 16 * 32 * 32 ? 36 : 12, texts: 60 }[model.kind];
  }

  function wallPoints() {
    const rest = () => ({ condition: state.condition, psi: state.psi, offsets: still() });
    const starts = Array.from({ length: Math.min(model.starts, most()) }, (_, latent) => ({ latent, ...rest() }));
    const drawn = Array.from({ length: most() }, (_, index) => ({ seed: state.seed, index, ...rest() }));
    return [...starts, ...drawn];
  }

  // ---- requests to the backend ----------------------------------------------------------------------------------

  // Sends one request at a time; of those that arrive meanwhile, only the newest is sent.
  function latest(show) {
    let [busy, next] = [false, null];
    return async (points) => {
      next = points;
      if (busy) return;
      busy = true;
      while (next !== null) {
        const now = next;
        next = null;
        try {
          show(now.length ? await backend.render(now) : [], now);
          settle(show);
        } catch (error) {
          complain(show, "wrong.answer", error);
        }
      }
      busy = false;
    };
  }

  const problems = new Map(); // requester -> its error, until it succeeds

  function complain(asker, key, error) {
    problems.set(asker, [key, error.message]);
    showProblem();
  }

  function settle(asker) {
    if (problems.delete(asker)) showProblem();
  }

  function showProblem() {
    const [first] = problems.values();
    $("problem").hidden = !first;
    $("problem").textContent = first ? Strings.get(first[0], { why: first[1] }) : "";
  }

  // ---- tiles ----------------------------------------------------------------------------------------------------

  function drawn(value, options) {
    const element = Draw.sample(model, value, options);
    if (model.kind !== "texts") element.setAttribute("aria-hidden", "true");
    return element;
  }

  // Shows samples in the tiles of `box`; existing tiles are reused, so that they keep the focus.
  function fill(box, samples, points) {
    while (box.children.length > samples.length) box.lastChild.remove();
    while (box.children.length < samples.length) {
      const tile = document.createElement("button");
      tile.type = "button";
      tile.className = "tile";
      tile.tabIndex = box.children.length ? -1 : 0;
      box.append(tile);
    }
    if (samples.length && !box.querySelector('[tabindex="0"]')) box.firstChild.tabIndex = 0;
    samples.forEach((value, i) => {
      const tile = box.children[i];
      tile.replaceChildren(drawn(value, { scale }));
      tile.point = points[i];
      tile.classList.toggle("start", "latent" in points[i]);
    });
    label(box);
  }

  function label(box) {
    for (const tile of box.children) {
      if (model.kind !== "texts") tile.setAttribute("aria-label", nameOf(tile.point));
      tile.title = nameOf(tile.point);
      if (tile.classList.contains("start")) tile.dataset.tag = Strings.get("projectedTag");
    }
    markOpen();
  }

  const place = (point) => JSON.stringify([point.seed, point.index, point.latent]);

  function markOpen() {
    for (const tile of $("wall").children) {
      tile.setAttribute("aria-pressed", String(!isMixture(open) && place(tile.point) === place(open)));
    }
  }

  function makeGrid(box) {
    box.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) show(tile.point);
    });
    box.addEventListener("focusin", (event) => {
      for (const tile of box.children) tile.tabIndex = tile === event.target ? 0 : -1;
    });
    box.addEventListener("keydown", (event) => {
      const tiles = [...box.children];
      const here = tiles.indexOf(event.target);
      const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
      const last = tiles.length - 1;
      const steps = {
        ArrowLeft: here - 1, ArrowRight: here + 1, ArrowUp: here - columns, ArrowDown: here + columns, Home: 0, End: last,
      };
      if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in steps) {
        event.preventDefault();
        tiles[steps[event.key]]?.focus();
      }
      if (event.repeat) return; // the letters request samples, so a held key counts once
      const { point } = event.target;
      const letters = { r: reroll, a: () => setEnd("a", point), b: () => setEnd("b", point) };
      letters[event.key.toLowerCase()]?.();
    });
  }

  // ---- the grid -------------------------------------------------------------------------------------------------

  const askWall = latest((samples, points) => {
    if (model.kind === "series") scale = Draw.scaleOf(model.shape, samples);
    fill($("wall"), samples, points);
  });

  function drawWall() {
    askWall(wallPoints());
  }

  function reroll() {
    setSeed(Math.floor(Math.random() * 1_000_000));
  }

  function setSeed(seed) {
    state.seed = seed;
    $("seed").value = seed;
    keepInAddress();
    drawWall();
  }

  function setCondition(value) {
    state.condition = value;
    chooser.mark(value);
    if (!isMixture(open)) open.condition = value;
    keepInAddress();
    drawWall();
    drawLarge();
  }

  function makeChooser() {
    chooser = condition.control(setCondition);
    $("condition").hidden = !condition.has;
    $("condition").setAttribute("aria-label", Strings.get(condition.key === "class" ? "classes" : "conditions"));
    $("condition").replaceChildren(...chooser.elements);
    chooser.mark(state.condition);
  }

  function showPsi() {
    $("psi").value = state.psi;
    $("psi-value").textContent = state.psi.toFixed(2);
  }

  // ---- the large sample -----------------------------------------------------------------------------------------

  const askLarge = latest(([sample], [point]) => {
    const limits = scale && Draw.scaleOf(model.shape, [sample]).map(([low, high], channel) => [
      Math.min(low, scale[channel][0]), Math.max(high, scale[channel][1]),
    ]);
    const element = Draw.sample(model, sample, { scale: limits, large: true });
    if (element instanceof HTMLCanvasElement) {
      element.setAttribute("role", "img");
      element.setAttribute("aria-label", nameOf(point));
    }
    $("large").replaceChildren(element);
  });

  function drawLarge() {
    askLarge([structuredClone(open)]);
    $("caption").textContent = nameOf(open);
    const mixed = isMixture(open);
    $("set-a").disabled = $("set-b").disabled = mixed;
    $("sliders").toggleAttribute("inert", mixed);
    $("reset").disabled = $("nudge").disabled = mixed;
    $("directions-off").hidden = !mixed;
    showOffsets(mixed ? still() : open.offsets);
    markOpen();
    markStar();
  }

  function show(point) {
    open = structuredClone(point);
    if (isMixture(open)) {
      [ends.a, ends.b] = [open.from, open.to];
      $("mix").value = open.t;
      drawEnds();
    }
    drawLarge();
    if (matchMedia("(max-width: 60rem)").matches) $("detail").scrollIntoView({ block: "start" });
  }

  function makeSliders() {
    $("directions").hidden = !model.directions;
    $("sliders").replaceChildren();
    for (let i = 0; i < model.directions; i++) {
      const row = document.createElement("div");
      row.className = "slider";
      const name = document.createElement("label");
      name.htmlFor = `direction-${i}`;
      const input = document.createElement("input");
      Object.assign(input, { type: "range", id: `direction-${i}`, min: -RANGE, max: RANGE, step: 0.1, value: 0 });
      const output = document.createElement("output");
      output.htmlFor = input.id;
      const reset = document.createElement("button");
      reset.type = "button";
      reset.className = "plain";
      reset.textContent = "↺";
      const move = (value) => {
        open.offsets[i] = value;
        drawLarge();
      };
      input.addEventListener("input", () => move(Number(input.value)));
      reset.addEventListener("click", () => move(0));
      row.append(name, input, output, reset);
      $("sliders").append(row);
    }
    labelSliders();
  }

  function labelSliders() {
    [...$("sliders").children].forEach((row, i) => {
      row.querySelector("label").textContent = Strings.get("direction", { n: i + 1 });
      row.querySelector("button").setAttribute("aria-label", Strings.get("reset", { n: i + 1 }));
      row.querySelector("button").title = Strings.get("reset", { n: i + 1 });
    });
  }

  function showOffsets(offsets) {
    [...$("sliders").children].forEach((row, i) => {
      row.querySelector("input").value = offsets[i];
      row.querySelector("output").textContent = offsets[i].toFixed(1);
    });
  }

  function resetAll() {
    open.offsets = still();
    drawLarge();
  }

  function nudge() {
    const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
    const moved = open.offsets.map((offset) => Math.max(-RANGE, Math.min(RANGE, offset + 0.7 * normal())));
    open.offsets = moved.map((offset) => Math.round(10 * offset) / 10);
    drawLarge();
  }

  // ---- interpolation --------------------------------------------------------------------------------------------

  const thumbs = { a: latest((samples) => showEnd("a", samples)), b: latest((samples) => showEnd("b", samples)) };

  function showEnd(which, samples) {
    $(`end-${which}`).replaceChildren(...samples.map((sample) => drawn(sample, { scale })));
  }

  function setEnd(which, point) {
    if (isMixture(point)) return;
    ends[which] = structuredClone(point);
    drawEnds();
    if (isMixture(open)) mix();
  }

  function drawEnds() {
    for (const which of ["a", "b"]) {
      const box = $(`end-${which}`);
      if (ends[which]) thumbs[which]([ends[which]]);
      else box.textContent = Strings.get(which === "a" ? "noA" : "noB");
      box.classList.toggle("none", !ends[which]);
      box.title = ends[which] ? nameOf(ends[which]) : "";
    }
    $("mix").disabled = !(ends.a && ends.b);
    $("between-help").hidden = !$("mix").disabled;
  }

  function mix() {
    open = { from: ends.a, to: ends.b, t: Number($("mix").value) };
    drawLarge();
  }

  // ---- storage --------------------------------------------------------------------------------------------------

  const memory = {
    // Browsers in private mode and pages opened from a file may have no storage.
    read(key) {
      try {
        return JSON.parse(localStorage.getItem(key));
      } catch {
        return null;
      }
    },
    write(key, value) {
      try {
        localStorage.setItem(key, JSON.stringify(value));
      } catch {
        // the value is lost when the page is closed
      }
    },
  };

  const starsKey = () => `sparring stars ${model.title}`;

  function readStars() {
    const stored = memory.read(starsKey());
    if (Array.isArray(stored)) kept = stored.map(renewed);
    starred = kept.filter(fits);
  }

  // Converts a point stored by an older page, in which a condition was a class.
  function renewed(point) {
    if (typeof point !== "object" || point === null) return point;
    if ("from" in point) return { ...point, from: renewed(point.from), to: renewed(point.to) };
    if (!("class" in point) || "condition" in point) return point;
    const { class: value, ...rest } = point;
    return { ...rest, condition: value };
  }

  const askStars = latest((samples, points) => fill($("starred"), samples, points));

  function drawStars() {
    $("stars").hidden = !starred.length;
    askStars(starred.slice(-most()));
  }

  function isStarred(point) {
    return starred.some((other) => JSON.stringify(other) === JSON.stringify(point));
  }

  function toggleStar() {
    const [text, on] = [JSON.stringify(open), isStarred(open)];
    readStars(); // another page may have changed them
    const others = kept.filter((other) => JSON.stringify(other) !== text);
    kept = on ? others : [...others, structuredClone(open)];
    starred = kept.filter(fits);
    memory.write(starsKey(), kept);
    markStar();
    drawStars();
  }

  function markStar() {
    const on = isStarred(open);
    $("star").setAttribute("aria-pressed", String(on));
    $("star").firstElementChild.textContent = on ? "★" : "☆";
  }

  async function download() {
    try {
      const { blob, name } = await backend.download(open);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      settle(download);
    } catch (error) {
      complain(download, "wrong.download", error);
    }
  }

  function keepInAddress() {
    const kept = new URLSearchParams({ seed: state.seed });
    if (state.condition !== null) kept.set(condition.key, condition.spell(state.condition));
    if (state.psi !== 1) kept.set("psi", state.psi);
    try {
      history.replaceState(null, "", `#${kept}`);
    } catch {
      // browsers limit how often the address may change
    }
  }

  function readAddress() {
    const kept = new URLSearchParams(location.hash.slice(1));
    const number = (name, most, whole, otherwise) => {
      const value = kept.get(name) ? Number(kept.get(name)) : NaN;
      return value >= 0 && value <= most && (!whole || Number.isInteger(value)) ? value : otherwise;
    };
    const value = condition.read(kept.get(condition.key));
    state = {
      seed: number("seed", MOST_SEED, true, model.seed),
      condition: condition.fits(value) ? value : null,
      psi: number("psi", 1, false, 1),
    };
    $("seed").value = state.seed;
    showPsi();
  }

  // ---- the run --------------------------------------------------------------------------------------------------

  const DISTANCES = ["frechet", "fid", "frechet_clips", "context_frechet"];

  function panels() {
    const line = (key, name) => ({ name, points: rows.filter((row) => key in row).map((row) => [row.samples_seen, row[key]]) });
    const get = Strings.get;
    return [
      { title: get("codec"), log: true, lines: [line("loss/reconstruction", get("codec"))] },
      { title: get("losses"), lines: [line("loss/d", get("d")), line("loss/g", get("g"))] },
      { title: get("gap"), lines: [line("logits/gap", get("gap"))] },
      { title: get("penalties"), log: true, lines: [line("loss/r1", get("r1")), line("loss/r2", get("r2"))] },
      ...DISTANCES.map((name) => ({
        title: Strings.measure(name),
        log: true,
        lines: [line(name, get("generated")), line(`${name}_floor`, get("real"))],
      })),
    ].filter(({ lines }) => lines[0].points.length > 1);
  }

  function drawRun() {
    const shown = panels();
    $("run").hidden = !shown.length && !numbers.length;
    $("curves").replaceChildren(...shown.map(({ title, lines, log }) => Draw.curve(title, lines, { log })));
    drawNumbers();
    drawProgress();
  }

  function drawProgress() {
    const seen = rows.length ? Strings.get("seen", { n: Strings.whole(rows.at(-1).samples_seen) }) : "";
    const gap = rows.at(-1)?.seconds - rows.at(-2)?.seconds; // NaN with fewer than two rows
    const now = Date.now() - lastNews < 1000 * Math.max(30, 3 * gap || 0);
    $("progress").textContent = now ? `${Strings.get("training")} · ${seen}` : seen;
    $("progress").classList.toggle("now", now);
  }

  function drawNumbers() {
    $("numbers").hidden = !numbers.length;
    const columns = ["value", "floor", "best"].filter((key) => numbers.some((number) => (number[key] ?? null) !== null));
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const key of ["measure", ...columns]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = Strings.get(key);
      head.append(cell);
    }
    const body = table.createTBody();
    for (const number of numbers) {
      const row = body.insertRow();
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = Strings.measure(number.name);
      row.append(name);
      for (const key of columns) row.insertCell().textContent = number[key] == null ? "" : Strings.number(number[key]);
    }
    $("numbers").replaceChildren(table);
  }

  function hear(news) {
    if (!news.fresh) lastNews = Date.now();
    if (news.rows) {
      rows = news.fresh ? news.rows : [...rows, ...news.rows];
      numbers = news.numbers;
      missed.rows = true;
    }
    if (news.weights) missed.weights = true;
    catchUp();
  }

  // Draws updates only while the page is visible: a hidden page that requests samples all night fills the memory.
  function catchUp() {
    if (document.hidden) return;
    if (missed.rows) drawRun();
    if (missed.weights) drawAll();
    missed.rows = missed.weights = false;
    drawProgress();
  }

  // ---- the whole page -------------------------------------------------------------------------------------------

  function drawAll() {
    drawWall();
    drawLarge();
    drawEnds();
    drawStars();
  }

  function showTexts() {
    Strings.apply();
    const [other, name] = Strings.other();
    $("language").textContent = name;
    $("language").lang = other === "zh" ? "zh-Hans" : "en";
    $("play").textContent = Strings.get(Draw.player.isPlaying() ? "pause" : "play");
    document.title = `${model.title} – Sparring`;
    $("title").textContent = model.title;
    $("about").textContent = Strings.get(`kind.${model.kind}`, { shape: model.shape.join("×") });
    makeChooser();
    labelSliders();
    label($("wall"));
    label($("starred"));
    drawEnds();
    drawRun();
    $("caption").textContent = nameOf(open);
    showProblem();
  }

  function listen() {
    $("reroll").addEventListener("click", reroll);
    $("seed").addEventListener("change", () => {
      const seed = Number($("seed").value);
      setSeed(Number.isInteger(seed) && seed >= 0 && seed <= MOST_SEED ? seed : state.seed);
    });
    $("psi").addEventListener("input", () => {
      state.psi = Number($("psi").value);
      open = truncated(open);
      for (const which of ["a", "b"]) ends[which] = ends[which] && truncated(ends[which]);
      showPsi();
      drawEnds();
      drawWall();
      drawLarge();
    });
    $("psi").addEventListener("change", keepInAddress);
    $("reset").addEventListener("click", resetAll);
    $("nudge").addEventListener("click", nudge);
    $("star").addEventListener("click", toggleStar);
    $("download").addEventListener("click", download);
    $("set-a").addEventListener("click", () => setEnd("a", open));
    $("set-b").addEventListener("click", () => setEnd("b", open));
    $("mix").addEventListener("input", mix);
    $("play").addEventListener("click", () => {
      Draw.player.toggle();
      $("play").textContent = Strings.get(Draw.player.isPlaying() ? "pause" : "play");
    });
    $("language").addEventListener("click", () => {
      const [other] = Strings.other();
      Strings.choose(other);
      memory.write("sparring language", other);
      showTexts();
    });
    document.addEventListener("visibilitychange", catchUp);
    makeGrid($("wall"));
    makeGrid($("starred"));
  }

  async function start() {
    Strings.choose(memory.read("sparring language"));
    Strings.apply();
    try {
      model = await backend.model();
    } catch (error) {
      complain(start, "wrong.answer", error);
      return;
    }
    condition = Conditions.of(model.condition);
    document.body.dataset.kind = model.kind;
    $("play").hidden = model.kind !== "clips";
    readAddress();
    numbers = model.numbers;
    open = wallPoints()[0];
    makeSliders();
    showTexts();
    readStars();
    listen();
    drawAll();
    if (backend.events) backend.events(hear);
    setInterval(drawProgress, 5_000);
  }

  return { start };
})();

document.addEventListener("DOMContentLoaded", App.start);
