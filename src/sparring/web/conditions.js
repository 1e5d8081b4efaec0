"use strict";

// One object for each kind of condition. A point's `condition` is null, for all conditions in turn, or a value: a class
// number, or a list of numbers.
//   has: whether there is a choice; key: its name in the page's address and in file names;
//   fits(value): validates; spell(value), read(text): to and from text; turn(index): the default of a sample;
//   name(value): for display; tensor(ort, values): the model's input;
//   control(choose): the elements for the choice, and mark(value), which marks the chosen value.
const Conditions = (() => {
  const MOST_BUTTONS = 12; // more choices become a list
  const MOST_FIELDS = 8; // vectors with more numbers are chosen from stored examples

  const none = () => ({
    has: false,
    key: "condition",
    fits: () => false,
    spell: () => "",
    read: () => null,
    turn: () => null,
    name: () => "",
    tensor: () => null,
    control: () => ({ elements: [], mark: () => {} }),
  });

  const classes = ({ names }) => ({
    has: true,
    key: "class",
    fits: (value) => Number.isInteger(value) && value >= 0 && value < names.length,
    spell: String,
    read: (text) => Number(text || NaN),
    turn: (index) => index % names.length,
    name: (value) => Strings.get("ofClass", { name: names[value] }),
    tensor: (ort, values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]),
    control: (choose) => choice(names.map((name, number) => [number, name]), Strings.get("classes"), choose),
  });

  const vectors = ({ names, mean, examples }) => ({
    has: true,
    key: "condition",
    fits: (value) => Array.isArray(value) && value.length === names.length && value.every(Number.isFinite),
    spell: (value) => value.join(),
    read: (text) => (text ? text.split(",").map((part) => Number(part || NaN)) : null),
    turn: (index) => examples[index % examples.length],
    name: (value) => listed(names, value),
    tensor: (ort, values) => new ort.Tensor("float32", Float32Array.from(values.flat()), [values.length, names.length]),
    control: (choose) => (names.length > MOST_FIELDS
      ? choice(examples.map((values, n) => [values, Strings.get("example", { n: n + 1 })]), Strings.get("conditions"), choose)
      : fields(names, mean, choose)),
  });

  /** The first few numbers with their names. */
  function listed(names, values) {
    const shown = names.slice(0, 3).map((name, i) => `${name} ${Strings.number(values[i])}`);
    return shown.join(", ") + (names.length > 3 ? ", …" : "");
  }

  /** Buttons, or a list if they are many, for "all" and each of the [value, name]. */
  function choice(values, label, choose) {
    const choices = [[null, Strings.get("all")], ...values];
    const place = (value) => choices.findIndex(([other]) => JSON.stringify(other) === JSON.stringify(value));
    if (values.length > MOST_BUTTONS) {
      const select = document.createElement("select");
      select.setAttribute("aria-label", label);
      choices.forEach(([, name], i) => select.append(new Option(name, i === 0 ? "" : i - 1)));
      select.addEventListener("change", () => choose(choices[select.selectedIndex][0]));
      return { elements: [select], mark: (value) => { select.selectedIndex = place(value); } };
    }
    const buttons = choices.map(([value, name]) => button(name, () => choose(value)));
    const mark = (value) => buttons.forEach((each, i) => each.setAttribute("aria-pressed", String(i === place(value))));
    return { elements: buttons, mark };
  }

  /** A field for each number, and a button for all examples in turn. The first number typed sets the others to their
   *  means. */
  function fields(names, mean, choose) {
    const short = (number) => Number(number.toPrecision(4));
    const all = button(Strings.get("all"), () => choose(null));
    const inputs = names.map((name, i) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "number", step: "any", placeholder: short(mean[i]) });
      input.addEventListener("change", () => {
        const value = inputs.map((other, k) => (other.value === "" ? short(mean[k]) : Number(other.value)));
        choose(inputs.every((other) => other.value === "") ? null : value);
      });
      return input;
    });
    const labels = inputs.map((input, i) => {
      const label = document.createElement("label");
      label.className = "inline";
      const name = document.createElement("span");
      name.textContent = names[i];
      label.append(name, " ", input);
      return label;
    });
    const mark = (value) => {
      all.setAttribute("aria-pressed", String(value === null));
      inputs.forEach((input, i) => { input.value = value === null ? "" : value[i]; });
    };
    return { elements: [all, ...labels], mark };
  }

  function button(name, press) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = name;
    made.addEventListener("click", press);
    return made;
  }

  const KINDS = { none, classes, vectors };

  // A plug-in's kind is chosen as numbers are, where it has examples.
  return { of: (facts) => (KINDS[facts.kind] ?? (facts.examples ? vectors : none))(facts) };
})();
