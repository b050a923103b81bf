// One program: run it, look at what it is made of, change it.
import {account, api, may} from "../api.js";
import {navigate, setQuery} from "../router.js";
import {Badge, Button, Confirm, Copy, PageHead, Panel, ProblemNote, Spinner, Tabs, Time, html, toast} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";
import {useLoad} from "../lib/load.js";
import {useStore} from "../lib/store.js";
import {short} from "../lib/format.js";
import {BuildLog} from "./build.js";
import {RunForm} from "./run.js";
import {Settings} from "./settings.js";
import {SourceView} from "./source.js";
import {NewVersion} from "./upload.js";
import {Versions} from "./versions.js";

const BACK = {href: "/console/programs", label: "Programs"};
const BUILDING_SECONDS = 2;

export default function ProgramPage({params, query}) {
  const path = `/v1/programs/${encodeURIComponent(params.id)}`;
  const [seconds, setSeconds] = useState(0);
  const {value: program, problem, setValue, reload} = useLoad(({signal}) => api(path, {signal}), [path], {seconds});
  const building = program?.latest.build.state === "building";
  useEffect(() => setSeconds(building ? BUILDING_SECONDS : 0), [building]);
  if (!program) return html`<${PageHead} title="Program" back=${BACK} />
    ${problem ? html`<${ProblemNote} problem=${problem} onRetry=${reload} />` : html`<${Spinner} />`}`;
  return html`<${Shown} program=${program} query=${query} onChanged=${setValue} reload=${reload} />`;
}

function Shown({program, query, onChanged, reload}) {
  const who = useStore(account);
  const [adding, setAdding] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const writes = may(who, "write") && (program.owner === who.name || may(who, "admin"));
  const tabs = [
    {id: "run", label: "Run"}, {id: "source", label: "Source"}, {id: "versions", label: "Versions", count: program.latest.number},
    {id: "build", label: "Build log"}, ...(writes ? [{id: "settings", label: "Settings"}] : []),
  ];
  const tab = tabs.some((each) => each.id === query.tab) ? query.tab : "run";
  const number = /^[1-9]\d{0,7}$/.test(query.version ?? "") ? Number(query.version) : program.latest.number;
  const choose = (version) => setQuery({version: version === program.latest.number ? null : version});
  const made = (changed) => {
    onChanged(changed);
    setQuery({version: null, tab: changed.latest.build.state === "building" ? "build" : tab});
    toast(`Version ${changed.latest.number} is uploaded`);
  };
  const remove = async () => {
    await api(`/v1/programs/${program.id}`, {method: "DELETE"});
    toast(`${program.name} is deleted`);
    navigate("/console/programs");
  };
  return html`
    <${PageHead} title=${program.name} back=${BACK} beside=${html`<${Badge} state=${program.latest.build.state} />`} actions=${writes && html`
      <${Button} onClick=${() => setAdding(true)}>New version<//>
      <${Button} kind="danger" onClick=${() => setDeleting(true)}>Delete<//>`} />
    ${program.description && html`<p class="about soft wrap">${program.description}</p>`}
    <p class="meta small faint">
      <span>Owner ${program.owner}</span><span>${program.visibility}</span><span>version ${program.latest.number}</span>
      <span>changed <${Time} at=${program.updated_at} /></span>
      <span class="mono">${short(program.id)} <${Copy} text=${program.id} label="Copy id" /></span>
      <a href=${`/console/jobs?program=${program.id}`}>Its jobs</a>
    </p>
    <${Tabs} label="Program" tabs=${tabs} active=${tab} onSelect=${(id) => setQuery({tab: id === "run" ? null : id})} />
    <${Panel} id=${tab}>
      ${tab === "run" && (may(who, "run") ? html`<${RunForm} key=${number} program=${program} number=${number} onNumber=${choose} from=${query.from} />`
        : html`<p class="note">This session may look at programs, and not run them.</p>`)}
      ${tab === "source" && html`<${SourceView} key=${number} program=${program} number=${number} onNumber=${choose} />`}
      ${tab === "versions" && html`<${Versions} program=${program} onShow=${(id, version) => setQuery({tab: id, version})} />`}
      ${tab === "build" && html`<${BuildLog} key=${`${number} ${program.latest.build.started_at}`} program=${program} number=${number} onNumber=${choose} onEnd=${reload} />`}
      ${tab === "settings" && html`<${Settings} program=${program} who=${who} onChanged=${onChanged} />`}
    <//>
    <${NewVersion} program=${program} open=${adding} onClose=${() => setAdding(false)} onMade=${made} />
    <${Confirm} open=${deleting} onClose=${() => setDeleting(false)} title=${`Delete ${program.name}?`} yes="Delete" onYes=${remove}>
      <p>The program and its ${program.latest.number === 1 ? "version" : `${program.latest.number} versions`} cannot be brought back. Its jobs stay.</p><//>`;
}
