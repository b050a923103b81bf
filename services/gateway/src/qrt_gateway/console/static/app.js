// The frame around every page: who is signed in, where one can go, what keys do.
import {account, signOut, whoAmI} from "./api.js";
import {match, navigate, usePlace} from "./router.js";
import {Button, Dialog, Empty, PageHead, ProblemNote, Spinner, Toasts, html, toast} from "./ui.js";
import {render, useEffect, useRef, useState} from "./lib/view.js";
import {useStore} from "./lib/store.js";
import {nextTheme, theme} from "./lib/theme.js";
import {SignIn} from "./sign-in.js";

const PAGES = [
  ["/console/programs", () => import("./programs/list.js")],
  ["/console/programs/:id", () => import("./programs/page.js")],
  ["/console/jobs", () => import("./jobs/list.js")],
  ["/console/jobs/:id", () => import("./jobs/page.js")],
  ["/console/executors", () => import("./executors.js")],
  ["/console/account", () => import("./account/page.js")],
];
const PLACES = [
  {href: "/console/programs", label: "Programs", key: "p"},
  {href: "/console/jobs", label: "Jobs", key: "j"},
  {href: "/console/executors", label: "Executors", key: "e"},
  {href: "/console/account", label: "Account", key: "a"},
];
const THEMES = {system: "System theme", light: "Light theme", dark: "Dark theme"};
const SIGNS = {system: "◐", light: "☀", dark: "☾"};

function App() {
  const who = useStore(account);
  const [problem, setProblem] = useState(null);
  const ask = () => {
    setProblem(null);
    whoAmI().catch(setProblem);
  };
  useEffect(ask, []);
  if (problem) return html`<main class="alone" id="main"><${ProblemNote} problem=${problem} onRetry=${ask} /></main>`;
  if (who === undefined) return html`<main class="alone" id="main"><${Spinner} label="Loading" /></main>`;
  return html`${who ? html`<${Frame} who=${who} />` : html`<${SignIn} />`}<${Toasts} />`;
}

function Frame({who}) {
  const {path, query} = usePlace();
  const [help, setHelp] = useState(false);
  const main = useRef(null);
  useEffect(() => { if (path === "/console") navigate("/console/jobs", {replace: true}); }, [path]);
  useKeys(() => setHelp(true));
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="/console/jobs"><span class="mark" aria-hidden="true"></span>Quantum runtime</a>
      <nav aria-label="Console">${PLACES.map((each) => html`<a key=${each.href} href=${each.href}
        aria-current=${path.startsWith(each.href) ? "page" : undefined}>${each.label}</a>`)}</nav>
      <div class="who">
        <${Button} kind="quiet" class="icon keys-button" aria-label="Keys" title="Keys (?)" onClick=${() => setHelp(true)}>?<//>
        <${ThemeSwitch} />
        <span class="name" title=${who.role ?? ""}>${who.name}</span>
        <${Button} kind="quiet" onClick=${() => signOut().catch((error) => toast(error.message, {kind: "bad"}))}>Sign out<//>
      </div>
    </header>
    <main id="main" ref=${main} tabindex="-1"><${Page} path=${path} query=${query} /></main>
    <${Help} open=${help} onClose=${() => setHelp(false)} />`;
}

function Page({path, query}) {
  const [shown, setShown] = useState(null);
  useEffect(() => {
    let wanted = true;
    for (const [pattern, load] of PAGES) {
      const params = match(pattern, path);
      if (params === null) continue;
      load().then(
        (module) => wanted && setShown({path, params, Component: module.default}),
        (error) => wanted && setShown({path, error}),
      );
      return () => { wanted = false; };
    }
    setShown({path});
    return undefined;
  }, [path]);
  if (shown?.path !== path) return html`<${Spinner} label="Loading" />`;
  if (shown.error) return html`<${ProblemNote} problem=${{title: "This page did not load", detail: shown.error.message}} onRetry=${() => location.reload()} />`;
  if (!shown.Component) return path === "/console" ? null : html`<${NotFound} />`;
  return html`<${shown.Component} key=${path} params=${shown.params} query=${query} />`;
}

function NotFound() {
  return html`<${PageHead} title="There is no such page" /><${Empty} title="Nothing is at this address.">
    <p><a href="/console/jobs">Go to the jobs</a></p><//>`;
}

function ThemeSwitch() {
  const now = useStore(theme);
  return html`<${Button} kind="quiet" class="icon" aria-label=${`${THEMES[now]}: change`} title=${THEMES[now]} onClick=${nextTheme}>${SIGNS[now]}<//>`;
}

function Help({open, onClose}) {
  const keys = [["?", "This help"], ["/", "Go to the first search or filter"], ["g then p", "Programs"], ["g then j", "Jobs"],
    ["g then e", "Executors"], ["g then a", "Account"], ["Esc", "Close a dialog"]];
  return html`<${Dialog} open=${open} onClose=${onClose} title="Keys">
    <table class="keys"><tbody>${keys.map(([key, what]) => html`<tr key=${key}><th scope="row"><kbd>${key}</kbd></th><td>${what}</td></tr>`)}</tbody></table>
    <p class="hint">API: <a href="/docs" target="_blank" rel="noopener">documentation</a></p><//>`;
}

function useKeys(onHelp) {
  const going = useRef(-Infinity);
  useEffect(() => {
    const press = (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.key === "?") onHelp();
      else if (event.key === "/") {
        const search = document.querySelector("main input[type=search], main [data-search]");
        if (!search) return;
        search.focus();
      } else if (event.key === "g") {
        going.current = event.timeStamp;
        return;
      } else if (event.timeStamp - going.current < 1500) {
        const place = PLACES.find((each) => each.key === event.key);
        going.current = -Infinity;
        if (!place) return;
        navigate(place.href);
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

render(html`<${App} />`, document.getElementById("app"));
