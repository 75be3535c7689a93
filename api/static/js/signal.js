// Values that tell when they change.

/**
 * @template Value
 * @typedef {object} Signal
 * @property {() => Value} get
 * @property {(value: Value) => void} set tells everyone, also of an equal value
 * @property {(reader: (value: Value, before: Value) => void) => () => void} watch told at once and at every change,
 *   until what it gives back is called
 */

/**
 * @template Value
 * @param {Value} value
 * @returns {Signal<Value>}
 */
export function signal(value) {
  /** @type {Set<(value: Value, before: Value) => void>} */
  const readers = new Set();
  return {
    get: () => value,
    set(next) {
      const before = value;
      value = next;
      for (const reader of readers) reader(next, before);
    },
    watch(reader) {
      readers.add(reader);
      reader(value, value);
      return () => void readers.delete(reader);
    },
  };
}
