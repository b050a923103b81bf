// What a component reads from the API.
import {useCallback, useEffect, useRef, useState} from "./view.js";

/**
 * Call `read({signal})` now, whenever `deps` change, and every `seconds` if given while the page is seen.
 * Returns {value, problem, loading, reload, setValue}; the last value stays while a new one is read.
 */
export function useLoad(read, deps = [], {seconds = 0} = {}) {
  const [state, setState] = useState({value: null, problem: null, loading: true});
  const latest = useRef(read);
  const running = useRef(null);
  latest.current = read;

  const reload = useCallback(async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((before) => ({...before, loading: true}));
    try {
      const value = await latest.current({signal: controller.signal});
      if (!controller.signal.aborted) setState({value, problem: null, loading: false});
    } catch (problem) {
      if (!controller.signal.aborted) setState((before) => ({...before, problem, loading: false}));
    }
  }, []);

  useEffect(() => {
    setState({value: null, problem: null, loading: true});
    reload();
    return () => running.current?.abort();
  }, deps);

  useEffect(() => {
    if (!seconds) return undefined;
    const timer = setInterval(() => document.hidden || reload(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);

  const setValue = useCallback((value) => setState({value, problem: null, loading: false}), []);
  return {...state, reload, setValue};
}
