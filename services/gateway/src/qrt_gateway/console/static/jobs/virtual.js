// A list of any length of which only what is seen stands in the page. All rows are equally high.
import {html, useCallback, useEffect, useLayoutEffect, useRef, useState} from "../lib/view.js";

const TALLEST = 8_000_000; // browsers draw nothing right below some ten million pixels
const SPARE = 8; // rows drawn above and below what is seen

/** Where in `count` rows a list is scrolled to, and back; very long lists move faster than their scroll bar. */
export class Scale {
  constructor(count, rowHeight, viewHeight) {
    this.height = Math.min(count * rowHeight, TALLEST);
    this.rowHeight = rowHeight;
    this.viewRows = viewHeight / rowHeight;
    this.lastTop = Math.max(0, count - this.viewRows); // the topmost row when scrolled to the end
    this.range = Math.max(0, this.height - viewHeight);
  }

  /** The topmost row seen, with its fraction. */
  rowAt(scrollTop) {
    return this.range ? Math.min(scrollTop / this.range, 1) * this.lastTop : 0;
  }

  scrollTo(row) {
    return this.lastTop ? (Math.min(Math.max(row, 0), this.lastTop) / this.lastTop) * this.range : 0;
  }
}

/**
 * `row(index)` draws one; `handle` (a ref) gets {show(index), focus()}. `follow` keeps the end in sight and
 * `onFollow(bool)` tells when the reader leaves or reaches it. `onNear(index)` tells the last index drawn.
 */
export function Virtual({count, rowHeight, row, handle, follow = false, onFollow, onNear, onKey, ...attributes}) {
  const box = useRef(null);
  const before = useRef(0); // where it was scrolled to, to tell up from down
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const scale = new Scale(count, rowHeight, height);
  const now = useRef(scale);
  now.current = scale;

  const move = useCallback((row) => {
    box.current.scrollTop = now.current.scrollTo(row);
  }, []);

  useLayoutEffect(() => {
    const measure = () => setHeight(box.current?.clientHeight || 400);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  const held = useRef(false); // the reader has hold of the list: it must not move away under the hand
  useLayoutEffect(() => {
    if (follow && !held.current) move(Infinity);
  }, [follow, count, height]);

  const scrolled = () => {
    const {scrollTop} = box.current;
    const up = scrollTop < before.current - 1;
    before.current = scrollTop;
    setTop(scrollTop);
    if (scrollTop >= now.current.range - 2) onFollow?.(true);
    else if (up) onFollow?.(false);
  };

  // A long list is moved by rows, not by the pixels of its scroll bar. Who turns back is not followed: waiting for
  // the scroll event would be too late where lines come with every frame.
  const leave = useRef(onFollow);
  leave.current = onFollow;
  useEffect(() => {
    const wheel = (event) => {
      if (event.deltaY < 0) leave.current?.(false);
      const {range, lastTop} = now.current;
      if (range >= lastTop * rowHeight || event.ctrlKey || event.shiftKey) return;
      const rows = event.deltaMode === 0 ? event.deltaY / rowHeight : event.deltaY * (event.deltaMode === 1 ? 1 : 20);
      event.preventDefault();
      move(now.current.rowAt(box.current.scrollTop) + rows);
    };
    const element = box.current;
    element.addEventListener("wheel", wheel, {passive: false});
    return () => element.removeEventListener("wheel", wheel);
  }, [rowHeight]);

  const keys = (event) => {
    onKey?.(event);
    if (event.defaultPrevented || event.target !== box.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = now.current.rowAt(box.current.scrollTop);
    const page = Math.max(1, Math.floor(now.current.viewRows) - 1);
    const target = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, " ": at + page, Home: 0, End: Infinity,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    if (target < at) onFollow?.(false);
    move(target);
  };

  const first = scale.rowAt(Math.min(top, scale.range));
  const from = Math.max(0, Math.floor(first) - SPARE);
  const to = Math.min(count, Math.ceil(first + scale.viewRows) + SPARE);

  if (handle) {
    handle.current = {
      show(index) {
        const seen = now.current.rowAt(box.current.scrollTop);
        if (index < seen || index + 1 > seen + now.current.viewRows) move(index - now.current.viewRows / 2);
      },
      focus: () => box.current.focus(),
    };
  }
  useEffect(() => {
    onNear?.(from, to);
  }, [from, to, count]);

  const shift = Math.min(top, scale.range) - (first - from) * rowHeight;
  const hold = (event) => {
    held.current = event.type === "pointerdown" || event.type === "touchstart";
  };
  return html`<div class="virtual" tabindex="0" ref=${box} onScroll=${scrolled} onKeyDown=${keys} onPointerDown=${hold}
    onPointerUp=${hold} onPointerLeave=${hold} onTouchStart=${hold} onTouchEnd=${hold} ...${attributes}>
    <div class="virtual-space" style=${{height: `${scale.height}px`}}>
      <div class="virtual-rows" style=${{transform: `translateY(${Math.max(0, shift)}px)`}}>
        ${Array.from({length: Math.max(0, to - from)}, (_, at) => row(from + at))}
      </div>
    </div>
  </div>`;
}
