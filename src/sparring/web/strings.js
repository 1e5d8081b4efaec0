"use strict";

// The page's texts in English and Chinese.
const Strings = (() => {
  const TEXTS = {
    en: {
      all: "All",
      best: "best state",
      between: "From A to B",
      betweenHelp: "Choose two samples as A and B, then drag.",
      classes: "Class",
      conditions: "Condition",
      codec: "Codec's reconstruction",
      "d": "discriminator",
      direction: "Direction {n}",
      directions: "Directions that change most",
      directionsOff: "A mixture of two samples has no directions of its own: open one sample to move it.",
      download: "Download",
      empty: "(empty)",
      example: "Example {n}",
      floor: "real ones",
      "g": "generator",
      gap: "Gap D(x) − D(G(z))",
      generated: "generated",
      "kind.clips": "clips, {shape}",
      "kind.pictures": "pictures, {shape}",
      "kind.series": "series, {shape}",
      "kind.texts": "texts of up to {shape} symbols",
      losses: "Losses",
      measure: "measure",
      mix: "From A to B",
      mixture: "{t}% of the way from {from} to {to}",
      moved: "moved",
      noA: "A: none yet",
      noB: "B: none yet",
      nudge: "Random nudge",
      one: "One sample",
      ofClass: "class {name}",
      penalties: "½ slope² of D",
      play: "Play",
      pause: "Pause",
      projected: "projected sample {n}",
      projectedTag: "projected",
      "r1": "R1 (real)",
      "r2": "R2 (generated)",
      real: "real",
      reroll: "Re-roll",
      reset: "Set direction {n} to 0",
      resetAll: "Reset all",
      run: "Training",
      samples: "Samples",
      sample: "seed {seed}, sample {n}",
      seed: "Seed",
      seen: "{n} samples seen",
      setA: "Set A",
      setB: "Set B",
      star: "Star",
      stars: "Starred",
      training: "training now",
      truncated: "truncation {psi}",
      truncation: "Truncation",
      truncationHelp: "Lower: more typical, less varied.",
      value: "samples",
      wall: "Samples of this seed",
      wallHelp: "Click or Enter opens a sample. On a sample, arrow keys move, R re-rolls, A and B choose two.",
      "wrong.answer": "No answer: {why}",
      "wrong.download": "The download failed: {why}",
    },
    zh: {
      all: "全部",
      best: "最佳状态",
      between: "从 A 到 B",
      betweenHelp: "把两个样本设为 A 和 B，然后拖动滑块。",
      classes: "类别",
      conditions: "条件",
      codec: "编解码器的重建",
      "d": "判别器",
      direction: "方向 {n}",
      directions: "变化最大的方向",
      directionsOff: "两个样本的混合没有自己的方向：请打开单个样本再移动。",
      download: "下载",
      empty: "（空）",
      example: "示例 {n}",
      floor: "真实样本",
      "g": "生成器",
      gap: "差距 D(x) − D(G(z))",
      generated: "生成",
      "kind.clips": "短片，{shape}",
      "kind.pictures": "图片，{shape}",
      "kind.series": "序列，{shape}",
      "kind.texts": "文本，最多 {shape} 个符号",
      losses: "损失",
      measure: "指标",
      mix: "从 A 到 B",
      mixture: "{from} 到 {to} 的 {t}%",
      moved: "已移动",
      noA: "A：尚未选择",
      noB: "B：尚未选择",
      nudge: "随机微调",
      one: "单个样本",
      ofClass: "类别 {name}",
      penalties: "D 的 ½ 斜率²",
      play: "播放",
      pause: "暂停",
      projected: "投影样本 {n}",
      projectedTag: "投影",
      "r1": "R1（真实）",
      "r2": "R2（生成）",
      real: "真实",
      reroll: "换一批",
      reset: "将方向 {n} 归零",
      resetAll: "全部归零",
      run: "训练",
      samples: "样本",
      sample: "种子 {seed}，样本 {n}",
      seed: "种子",
      seen: "已见 {n} 个样本",
      setA: "设为 A",
      setB: "设为 B",
      star: "收藏",
      stars: "收藏的样本",
      training: "正在训练",
      truncated: "截断 {psi}",
      truncation: "截断",
      truncationHelp: "越低越典型，越少变化。",
      value: "生成样本",
      wall: "此种子的样本",
      wallHelp: "点击或按 Enter 打开样本。焦点在样本上时：方向键移动，R 换一批，A 和 B 选择两个样本。",
      "wrong.answer": "没有回应：{why}",
      "wrong.download": "下载失败：{why}",
    },
  };

  // Display names of metrics; other metrics keep their own names.
  const MEASURES = {
    en: {
      bigram_tv: "letter pairs, distance", c2st: "told apart by a classifier", context_frechet: "Fréchet distance",
      copied: "copies of the data", diversity: "diversity", fid: "FID", frechet: "Fréchet distance",
      frechet_clips: "Fréchet distance, clips", frechet_frames: "Fréchet distance, frames",
      least_share: "rarest class's share", length_tv: "lengths, distance", most_share: "most frequent class's share",
      recognised: "recognised as their class", unique: "unlike all others",
    },
    zh: {
      bigram_tv: "字母对距离", c2st: "分类器可分辨的比例", context_frechet: "Fréchet 距离", copied: "抄自数据的比例",
      diversity: "多样性", fid: "FID", frechet: "Fréchet 距离", frechet_clips: "Fréchet 距离（短片）",
      frechet_frames: "Fréchet 距离（帧）", least_share: "最少类别的比例", most_share: "最多类别的比例", length_tv: "长度距离", recognised: "被识别为所属类别的比例",
      unique: "与众不同的比例",
    },
  };

  const OTHER = { en: ["zh", "中文"], zh: ["en", "English"] };
  let language = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";

  // The text of a key, with its {placeholders} filled in.
  function get(key, values = {}) {
    return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  function measure(name) {
    return Object.hasOwn(MEASURES[language], name) ? MEASURES[language][name] : name.replaceAll("_", " ");
  }

  function number(value, digits = 4) {
    return new Intl.NumberFormat(language, { maximumSignificantDigits: digits }).format(value);
  }

  function whole(value) {
    return new Intl.NumberFormat(language).format(value);
  }

  // Fills in the page's elements with data-text or data-label.
  function apply() {
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
    for (const element of document.querySelectorAll("[data-text]")) element.textContent = get(element.dataset.text);
    for (const element of document.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", get(element.dataset.label));
    }
  }

  function choose(name) {
    if (Object.hasOwn(TEXTS, name)) language = name;
  }

  return { apply, choose, get, measure, number, whole, other: () => OTHER[language] };
})();
