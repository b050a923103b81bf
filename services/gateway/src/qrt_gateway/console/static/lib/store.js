// A value that components follow.
import {useEffect, useState} from "./view.js";

export class Store {
  #value;
  #followers = new Set();

  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value;
    for (const each of [...this.#followers]) each(value);
  }

  /** Call `follower` with each new value; returns what ends that. */
  follow(follower) {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}

/** Return a store's value, and draw anew when it changes. */
export function useStore(store) {
  const [, draw] = useState(null);
  useEffect(() => {
    const stop = store.follow(() => draw({}));
    draw({}); // it may have changed before this effect ran
    return stop;
  }, [store]);
  return store.value;
}
