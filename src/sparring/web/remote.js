"use strict";

// The backend of app.js over HTTP, served by `sparring explore` (explorer/server.py).
const backend = (() => {
  const token = new URLSearchParams(location.search).get("token") || "";
  const headers = { "X-Sparring-Token": token };
  let known = null;

  async function ask(path, content) {
    const post = content && {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(content),
    };
    const answer = await fetch(path, post || { headers });
    if (answer.ok) return answer;
    const text = await answer.text();
    let why = text;
    try {
      why = JSON.parse(text).error || text;
    } catch {
      // not JSON: `why` stays the plain text
    }
    throw new Error(why || `HTTP ${answer.status}`);
  }

  async function model() {
    known = await (await ask("api/model")).json();
    return known;
  }

  async function render(points) {
    const answer = await ask("api/render", { points });
    if (known.kind === "texts") return answer.json();
    const buffer = await answer.arrayBuffer();
    const numbers = known.kind === "series" ? new Float32Array(buffer) : new Uint8Array(buffer);
    const size = known.shape.reduce((product, side) => product * side, 1);
    return points.map((_, index) => numbers.subarray(index * size, (index + 1) * size));
  }

  async function download(point) {
    const answer = await ask("api/download", point);
    const [, name] = answer.headers.get("Content-Disposition").match(/filename="([^"]+)"/);
    return { blob: await answer.blob(), name };
  }

  function events(callback) {
    const source = new EventSource(`api/events?token=${encodeURIComponent(token)}`);
    source.onmessage = (message) => callback(JSON.parse(message.data));
  }

  return { model, render, download, events };
})();
