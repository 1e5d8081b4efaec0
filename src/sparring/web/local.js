"use strict";
// The backend of a shared page: onnxruntime-web runs the model in the browser.
const backend = (() => {
  const started = performance.now();
  const COMPARED = 8; // samples to compare WebAssembly and WebGPU
  const element = (id) => document.getElementById(id);
  const facts = JSON.parse(element("packed-facts").textContent);
  const zSize = facts.z_size;
  const condition = Conditions.of(facts.condition);
  facts.runs_by = "WebAssembly";

  async function unpacked(id) {
    const letters = atob(element(id).textContent.trim()), packed = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
    element(id).remove();
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  let ort, opened, session, directions;
  let fallback = null; // the WebAssembly session while WebGPU is used, whose device may be lost
  const ready = (async () => {
    const names = ["packed-runtime", "packed-wasm", "packed-model", "packed-axes"];
    const [script, wasm, model, found] = await Promise.all(names.map(unpacked));
    directions = new Float32Array(found);
    const address = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
    ort = await import(address);
    URL.revokeObjectURL(address);
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.numThreads = 1; // threads need HTTP headers, which a file lacks
    ort.env.logLevel = "error";
    opened = (providers) => ort.InferenceSession.create(model, {executionProviders: providers, logSeverityLevel: 3});
    session = await opened(["wasm"]);
  })();

  /** Switches to WebGPU if it exists, is faster and gives the same samples. */
  async function tryGraphics() {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter || adapter.info?.isFallbackAdapter) return;
    const tried = await opened(["webgpu", "wasm"]);
    const points = Array.from({length: COMPARED}, (_, index) => resolved({seed: 0, index, condition: null}));
    const [sure, other] = [await timed(session, points), await timed(tried, points)];
    if (other.time > sure.time || !alike(sure.samples, other.samples)) return tried.release();
    [session, fallback] = [tried, session];
    facts.runs_by = "WebGPU";
  }

  /** Whether numbers differ by at most 2% of their range, and are NaN in the same places. */
  function alike(samples, others) {
    let [low, high, apart] = [Infinity, -Infinity, 0];
    for (let i = 0; i < samples.length; i++) {
      const [a, b] = [Number(samples[i]), Number(others[i])];
      if (Number.isNaN(a) !== Number.isNaN(b)) return false;
      if (Number.isNaN(a)) continue;
      [low, high, apart] = [Math.min(low, a), Math.max(high, a), Math.max(apart, Math.abs(a - b))];
    }
    return apart <= 0.02 * (high - low);
  }

  async function timed(session, noise) {
    await run(session, noise); // warm-up
    const begun = performance.now();
    return {samples: await run(session, noise), time: performance.now() - begun};
  }

  async function run(session, points) {
    const count = points.length, z = new Float32Array(count * zSize);
    points.forEach((point, i) => z.set(point.z, i * zSize));
    const inputs = {
      z: new ort.Tensor("float32", z, [count, zSize]),
      truncation_psi: new ort.Tensor("float32", Float32Array.from(points, (p) => p.psi), [count]),
    };
    if (condition.has) inputs.condition = condition.tensor(ort, points.map((point) => point.condition));
    return (await session.run(inputs)).samples.data;
  }

  async function computed(points) {
    try {
      return await run(session, points);
    } catch (error) {
      if (!fallback) throw error;
      [session, fallback] = [fallback, null];
      return run(session, points);
    }
  }

  /** z, truncation and condition of one of app.js's points. */
  function resolved(point) {
    if (point.from) {
      const [a, b] = [resolved(point.from), resolved(point.to)];
      if (point.t === 0) return a;
      if (point.t === 1) return b;
      const angle = (point.t * Math.PI) / 2, [here, there] = [Math.cos(angle), Math.sin(angle)];
      return {...(point.t < 0.5 ? a : b), z: a.z.map((x, i) => here * x + there * b.z[i])};
    }
    const z = Noise.z(point.seed, point.index, zSize);
    (point.offsets ?? []).forEach((offset, k) => {
      if (offset) for (let i = 0; i < zSize; i++) z[i] += offset * directions[k * zSize + i];
    });
    return {z, psi: point.psi ?? 1, condition: point.condition ?? condition.turn(point.index)};
  }

  /** Splits the model's output into samples for app.js. */
  function split(data, count) {
    const size = data.length / count;
    return Array.from({length: count}, (_, i) => {
      const sample = data.slice(i * size, (i + 1) * size);
      if (facts.kind === "texts") return spelled(Array.from(sample, Number));
      return facts.kind === "series" ? sample : Uint8Array.from(sample, (x) => Math.round((x + 1) * 127.5));
    });
  }

  /** A text on one line without control characters: Python's `clean`, but for a few kinds of spaces. */
  function clean(text) {
    const line = text.replace(/\ufeff/g, "").replace(/[\s\x1c-\x1f\x85]+/g, " ");
    const shown = line.replace(/(?![\u200c\u200d\xad])[\p{Cc}\p{Cf}]/gu, "");
    return shown.replace(/ +/g, " ").trim().normalize("NFC");
  }

  /** Token numbers up to the first end token as a text: `Vocabulary.text`. */
  function spelled(numbers) {
    const {tokenizer, symbols} = facts.vocabulary;
    const end = numbers.indexOf(0), known = end < 0 ? numbers : numbers.slice(0, end);
    const unknown = tokenizer === "char" ? "\ufffd" : " \ufffd";
    if (tokenizer !== "bpe") return clean(known.map((n) => (n === 1 ? unknown : symbols[n - 2])).join(""));
    const letters = [...known.filter((n) => n > 1).map((n) => symbols[n - 2]).join("")];
    return clean(new TextDecoder().decode(Uint8Array.from(letters, (letter) => facts.vocabulary.bytes[letter])));
  }

  /** Shows the model's size, its backend and the time until the first samples. */
  function showFooter() {
    const footer = document.createElement("footer");
    footer.className = "muted small";
    footer.textContent = `${facts.about} · ${facts.runs_by} · ${facts.first_sample.toFixed(1)} s`;
    document.body.append(footer);
  }

  let turn;
  function render(points) {
    const work = async () => {
      await ready;
      const samples = [];
      for (let start = 0; start < points.length; start += facts.batch) {
        if (start) await new Promise((done) => setTimeout(done)); // lets the browser handle clicks
        const part = points.slice(start, start + facts.batch).map(resolved);
        samples.push(...split(await computed(part), part.length));
      }
      return samples;
    };
    const first = !turn;
    const done = first ? work() : turn.then(work);
    turn = done.catch(() => {}); // a session runs one batch at a time
    if (first) {
      done.then(() => {
        facts.first_sample = (performance.now() - started) / 1000;
        turn = turn.then(tryGraphics).catch(() => {}).then(showFooter);
      });
    }
    return done;
  }

  async function download(point) {
    const [sample] = await render([point]);
    const {suffix, blob} = await file(sample);
    const place = point.from ? `${named(point.from)}-to-${named(point.to)}-${point.t.toFixed(2)}` : named(point);
    return {blob, name: `${facts.file_name}-${place}${suffix}`};
  }

  /** File names as in `explorer/files.py`. */
  function named(point) {
    const parts = [`seed${point.seed}-${point.index}`];
    if (point.condition != null) parts.push(condition.key + condition.spell(point.condition).replaceAll(",", "_"));
    if (point.psi !== 1) parts.push(`psi${point.psi}`);
    if (point.offsets?.some(Boolean)) parts.push("moved");
    return parts.join("-");
  }

  /** A sample as a file that `sparring train` can read; a video becomes its frames side by side. */
  async function file(sample) {
    const shape = facts.shape;
    if (facts.kind === "texts") return {suffix: ".txt", blob: new Blob([`${sample}\n`], {type: "text/plain"})};
    if (facts.kind === "series") return {suffix: ".csv", blob: new Blob([table(sample)], {type: "text/csv"})};
    const still = shape.length === 4 ? strip(sample) : {shape, values: sample};
    const drawn = Draw.sample({kind: "pictures", shape: still.shape}, still.values);
    if (!(drawn instanceof HTMLCanvasElement)) {
      return {suffix: ".svg", blob: new Blob([new XMLSerializer().serializeToString(drawn)], {type: "image/svg+xml"})};
    }
    return {suffix: ".png", blob: await new Promise((done) => drawn.toBlob(done))};
  }

  function strip(values) {
    const [channels, frames, height, width] = facts.shape, all = new Uint8Array(values.length);
    for (let from = 0, row = 0; row < channels * frames * height; row++, from += width) {
      const line = row % height, frame = Math.floor(row / height) % frames, channel = Math.floor(row / height / frames);
      all.set(values.subarray(from, from + width), ((channel * height + line) * frames + frame) * width);
    }
    return {shape: [channels, height, frames * width], values: all};
  }

  function table(values) {
    const plain = (name) => (/^[=+\-@\t\r]/.test(name) ? `'${name}` : name); // no formula, as in data/channels.py
    const quoted = (name) => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
    const steps = facts.shape[1], rows = [["sample", "step", ...facts.channels.map((name) => quoted(plain(name)))]];
    for (let step = 0; step < steps; step++) {
      const row = facts.channels.map((_, channel) => values[channel * steps + step]);
      if (!row.every(Number.isNaN)) rows.push([0, step, ...row.map((x) => Number(x.toPrecision(7)))]);
    }
    return rows.map((row) => `${row.join(",")}\n`).join("");
  }

  return {model: async () => facts, render, download, spelled};
})();
