"use strict";
// z as drawn by PyTorch on a CPU, so that a seed gives the same samples as `sparring sample --seed`.
const Noise = (() => {
  const MASK = (1n << 64n) - 1n;
  const START = [
    0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
    0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
  ];
  const SIGMA = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
  ];
  const QUARTERS = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

  // BLAKE2b (RFC 7693) of at most 128 bytes with an 8-byte digest, as a big-endian number
  function blake2b(bytes) {
    const h = START.slice();
    h[0] ^= 0x01010000n ^ 8n;
    const block = new Uint8Array(128);
    block.set(bytes);
    const view = new DataView(block.buffer);
    const m = Array.from({length: 16}, (_, i) => view.getBigUint64(8 * i, true));
    const v = [...h, ...START];
    v[12] ^= BigInt(bytes.length);
    v[14] ^= MASK;
    const turn = (x, by) => ((x >> BigInt(by)) | (x << BigInt(64 - by))) & MASK;
    for (let round = 0; round < 12; round++) {
      const order = SIGMA[round % 10];
      QUARTERS.forEach(([a, b, c, d], i) => {
        v[a] = (v[a] + v[b] + m[order[2 * i]]) & MASK;
        v[d] = turn(v[d] ^ v[a], 32);
        v[c] = (v[c] + v[d]) & MASK;
        v[b] = turn(v[b] ^ v[c], 24);
        v[a] = (v[a] + v[b] + m[order[2 * i + 1]]) & MASK;
        v[d] = turn(v[d] ^ v[a], 16);
        v[c] = (v[c] + v[d]) & MASK;
        v[b] = turn(v[b] ^ v[c], 63);
      });
    }
    view.setBigUint64(0, h[0] ^ v[0] ^ v[8], true);
    return view.getBigUint64(0, false);
  }

  // MT19937 (Matsumoto and Nishimura 1998)
  function mersenne(seed) {
    const state = new Uint32Array(624);
    state[0] = seed;
    for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    let place = 624;
    return () => {
      if (place === 624) {
        for (let i = 0; i < 624; i++) {
          const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
          state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        place = 0;
      }
      let y = state[place++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
  }

  // Box and Muller 1958: maps 16 uniform numbers to 16 normal ones; the first eight pair with the last eight
  function boxMuller(values, start) {
    for (let i = start; i < start + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - values[i])), angle = 2 * Math.PI * values[i + 8];
      values[i] = radius * Math.cos(angle);
      values[i + 8] = radius * Math.sin(angle);
    }
  }

  /** Standard normal numbers of `torch.Generator().manual_seed(seed)`. */
  function normal(seed, size) {
    const next = mersenne(seed), values = new Float32Array(size);
    if (size < 16) return few(next, values);
    const uniform = () => (next() & 0xffffff) / 0x1000000;
    for (let i = 0; i < size; i++) values[i] = uniform();
    for (let i = 0; i + 16 <= size; i += 16) boxMuller(values, i);
    if (size % 16) {
      for (let i = size - 16; i < size; i++) values[i] = uniform();
      boxMuller(values, size - 16);
    }
    return values;
  }

  // PyTorch's method for fewer than 16 numbers: pair by pair, in double precision
  function few(next, values) {
    const uniform = () => ((next() & 0x1fffff) * 0x100000000 + next()) / 0x20000000000000;
    for (let i = 0; i < values.length; i += 2) {
      const angle = 2 * Math.PI * uniform(), radius = Math.sqrt(-2 * Math.log1p(-uniform()));
      values[i] = radius * Math.cos(angle);
      if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
    }
    return values;
  }

  /** z of one sample of a seed: `sparring.sampling.draw_z`. */
  function z(seed, index, size) {
    const derived = blake2b(new TextEncoder().encode(`(${seed}, 'z', ${index})`)) >> 1n;
    return normal(Number(derived & 0xffffffffn), size);
  }

  return {z};
})();
