// The parts every page is made of. What they are given is text, never markup.
import {Fragment, html, useEffect, useId, useRef, useState} from "./lib/view.js";
import {exact, relative} from "./lib/format.js";
import {Store, useStore} from "./lib/store.js";

export {html};

const classes = (...names) => names.filter(Boolean).join(" ");

/** A button; `kind`: "primary", "danger" or "quiet". `busy` disables it and says so. */
export function Button({kind = "", busy = false, type = "button", disabled = false, class: more = "", children, ...rest}) {
  return html`<button type=${type} class=${classes("button", kind, more)} disabled=${disabled || busy} aria-busy=${busy || undefined} ...${rest}>
    ${busy && html`<span class="spinner small" aria-hidden="true"></span>`}${children}
  </button>`;
}

/**
 * A labelled input. `as`: "input" (default), "textarea", "select" (children are its options) or
 * "checkbox". `hint` explains, `error` is said beside it; the rest goes to the input itself.
 */
export function Field({label, hint = "", error = "", as = "input", class: more = "", hideLabel = false, children, ...rest}) {
  const id = useId();
  const about = classes(hint && `${id}-hint`, error && `${id}-error`) || undefined;
  const common = {id, "aria-describedby": about, "aria-invalid": error ? "true" : undefined, ...rest};
  const notes = html`
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="error" id=${`${id}-error`} role="alert">${error}</p>`}`;
  if (as === "checkbox") {
    return html`<div class=${classes("field check", more)}>
      <input type="checkbox" ...${common} /><label for=${id}>${label}</label>${notes}</div>`;
  }
  const input = as === "textarea" ? html`<textarea ...${common}></textarea>`
    : as === "select" ? html`<select ...${common}>${children}</select>`
    : html`<input type="text" ...${common} />`;
  return html`<div class=${classes("field", more)}>
    <label for=${id} class=${hideLabel ? "unseen" : ""}>${label}${rest.required && html`<span class="needed" aria-hidden="true"> *</span>`}</label>
    ${input}${notes}</div>`;
}

/**
 * A table. `columns`: [{key, label, render?(row), align?, class?, hideLabel?}]; `rowKey(row)`. On narrow screens the
 * rows stand as cards, each cell with its label.
 */
export function Table({columns, rows, rowKey = (row) => row.id, caption, empty = "There is nothing here yet.", loading = false}) {
  if (!rows?.length && loading) return html`<${Spinner} label="Loading" />`;
  if (!rows?.length) return typeof empty === "string" ? html`<${Empty} title=${empty} />` : empty;
  return html`<div class="scroll"><table class="table">
    ${caption && html`<caption class="unseen">${caption}</caption>`}
    <thead><tr>${columns.map((each) => html`<th scope="col" class=${classes(each.align, each.class)}>
      ${each.hideLabel ? html`<span class="unseen">${each.label}</span>` : each.label}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${rowKey(row)}>
      ${columns.map((each) => html`<td class=${classes(each.align, each.class)} data-label=${each.hideLabel ? "" : each.label}>
        ${each.render ? each.render(row) : row[each.key]}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

/** A modal dialog: the rest of the page waits, Esc closes it, focus goes back to where it was. */
export function Dialog({open, onClose, title, children, actions, wide = false}) {
  const dialog = useRef(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (open && element && !element.open) element.showModal();
    if (!open && element?.open) element.close();
  }, [open]);
  const outside = (event) => event.target === dialog.current && onClose();
  return html`<dialog ref=${dialog} class=${classes("dialog", wide && "wide")} aria-labelledby=${id} onClose=${onClose} onMouseDown=${outside}>
    ${open && html`<div class="dialog-inside">
      <header><h2 id=${id}>${title}</h2><${Button} kind="quiet" class="icon" aria-label="Close" onClick=${onClose}>✕<//></header>
      <div class="dialog-body">${children}</div>
      ${actions && html`<footer>${actions}</footer>`}
    </div>`}
  </dialog>`;
}

/** Ask before something that cannot be undone. `onYes` may be async; what it throws is shown. */
export function Confirm({open, onClose, title, children, yes = "Delete", onYes}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const act = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await onYes();
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<${Dialog} open=${open} onClose=${onClose} title=${title} actions=${html`
    <${Button} onClick=${onClose}>Keep<//><${Button} kind="danger" busy=${busy} onClick=${act}>${yes}<//>`}>
    ${children}<${ProblemNote} problem=${problem} /><//>`;
}

const TONES = {
  QUEUED: "wait", RUNNING: "live", SUCCEEDED: "good", FAILED: "bad", CANCELLED: "off",
  building: "live", ready: "good", failed: "bad", online: "good", offline: "off", pending: "wait", delivered: "good",
  completed: "good", cancelled: "off",
};
const WORDS = {QUEUED: "Queued", RUNNING: "Running", SUCCEEDED: "Succeeded", FAILED: "Failed", CANCELLED: "Cancelled"};

/** A state as a coloured word; `tone` ("good", "bad", "live", "wait", "off") where the state is not known here. */
export function Badge({state, tone, children}) {
  return html`<span class=${classes("badge", tone ?? TONES[state] ?? "off")} data-state=${state}>
    <span class="dot" aria-hidden="true"></span>${children ?? WORDS[state] ?? state}</span>`;
}

const clock = new Store(Date.now());
setInterval(() => { if (!document.hidden) clock.value = Date.now(); }, 10_000);

/** A moment, relative to now, exact in its title. */
export function Time({at, none = "—"}) {
  const now = useStore(clock);
  if (!at) return html`<span class="faint">${none}</span>`;
  return html`<time datetime=${at} title=${exact(at)}>${relative(at, Math.max(now, Date.now()))}</time>`;
}

/** What stands where there is nothing. */
export function Empty({title, children}) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

/** Something is on its way; `label` says what. */
export function Spinner({label = "Loading"}) {
  return html`<div class="loading" role="status"><span class="spinner" aria-hidden="true"></span><span>${label}…</span></div>`;
}

/** A problem as a note; nothing without one. */
export function ProblemNote({problem, onRetry}) {
  if (!problem) return null;
  return html`<div class="note bad" role="alert">
    <p><strong>${problem.title ?? "Something went wrong"}</strong></p>
    ${problem.detail !== problem.title && html`<p>${problem.detail ?? problem.message}</p>`}
    ${onRetry && html`<${Button} onClick=${onRetry}>Try again<//>`}
  </div>`;
}

/** Views of one thing. `tabs`: [{id, label, count?}]. */
export function Tabs({tabs, active, onSelect, label}) {
  const list = useRef(null);
  const step = (event) => {
    const moves = {ArrowRight: 1, ArrowLeft: -1};
    const at = tabs.findIndex((each) => each.id === active);
    const next = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1
      : event.key in moves ? (at + moves[event.key] + tabs.length) % tabs.length : -1;
    if (next < 0) return;
    event.preventDefault();
    onSelect(tabs[next].id);
    list.current.children[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${step}>
    ${tabs.map((each) => html`<button type="button" role="tab" key=${each.id} id=${`tab-${each.id}`} aria-selected=${each.id === active ? "true" : "false"}
      aria-controls=${each.id === active ? `panel-${each.id}` : undefined} tabindex=${each.id === active ? 0 : -1} onClick=${() => onSelect(each.id)}>
      ${each.label}${each.count !== undefined && html`<span class="count">${each.count}</span>`}</button>`)}
  </div>`;
}

/** What a tab shows. */
export function Panel({id, children}) {
  return html`<div role="tabpanel" id=${`panel-${id}`} aria-labelledby=${`tab-${id}`} class="panel" tabindex="0">${children}</div>`;
}

/** Put a text on the clipboard. */
export function Copy({text, label = "Copy"}) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("This browser does not let the page copy", {kind: "bad"});
    }
  };
  return html`<${Button} kind="quiet" class="copy" onClick=${copy} title=${label}>${label}<//>`;
}

/** Names and values: `items`: [[name, value]]; those without a value are left out. */
export function Facts({items}) {
  const said = items.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return html`<dl class="facts">${said.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** The head of a page: its title (also the document's), what is said beside it and what can be done. */
export function PageHead({title, beside, actions, back}) {
  useEffect(() => { document.title = `${title} · Quantum runtime`; }, [title]);
  return html`<${Fragment}>
    ${back && html`<p class="back"><a href=${back.href}>← ${back.label}</a></p>`}
    <header class="page-head"><h1 tabindex="-1">${title}</h1>${beside}<div class="actions">${actions}</div></header>
  <//>`;
}

const toasts = new Store([]);
let made = 0;

/** Say something briefly at the edge of the page; `kind`: "good" or "bad". */
export function toast(text, {kind = "good", seconds = 5} = {}) {
  made += 1;
  const id = made;
  toasts.value = [...toasts.value.slice(-3), {id, text, kind}];
  setTimeout(() => { toasts.value = toasts.value.filter((each) => each.id !== id); }, seconds * 1000);
}

export function Toasts() {
  const said = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${said.map((each) => html`<p key=${each.id} class=${`toast ${each.kind}`}>${each.text}</p>`)}</div>`;
}
