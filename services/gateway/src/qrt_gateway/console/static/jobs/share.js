// Who else may read a job.
import {api} from "../api.js";
import {Button, Dialog, Field, ProblemNote, html} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";

const names = (text) => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

export function Share({open, job, onClose}) {
  const {shares} = job.view;
  const [groups, setGroups] = useState("");
  const [accounts, setAccounts] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!open) return;
    setGroups((shares?.groups ?? []).join(", "));
    setAccounts((shares?.accounts ?? []).join(", "));
    setProblem(null);
  }, [open]);

  const save = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const body = {groups: names(groups), accounts: names(accounts)};
      await api(`/v1/jobs/${job.id}/shares`, {method: "PUT", body});
      await job.refresh();
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<${Dialog} open=${open} onClose=${onClose} title="Share this job">
    <form onSubmit=${save}>
      <p class="faint">They can read its state, result, outputs, log and files; they cannot change it.</p>
      <${Field} label="Groups" value=${groups} hint="Names, with commas between them" error=${problem?.of?.("groups")}
        onInput=${(event) => setGroups(event.target.value)} />
      <${Field} label="Accounts" value=${accounts} hint="Names, with commas between them" error=${problem?.of?.("accounts")}
        onInput=${(event) => setAccounts(event.target.value)} />
      <${ProblemNote} problem=${problem} />
      <p class="actions"><${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${busy}>Save<//></p>
    </form><//>`;
}
