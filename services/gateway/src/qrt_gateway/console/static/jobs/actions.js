// What can be done with a job: cancel, run again, share, delete.
import {account, api, may} from "../api.js";
import {navigate} from "../router.js";
import {Button, Confirm, html, toast} from "../ui.js";
import {useState} from "../lib/view.js";
import {useStore} from "../lib/store.js";
import {runAgain} from "./input.js";
import {Share} from "./share.js";

export function Actions({job}) {
  const {view} = job;
  const who = useStore(account);
  const [busy, setBusy] = useState("");
  const [asking, setAsking] = useState("");
  const path = `/v1/jobs/${view.id}`;
  const own = view.owner === who?.name || may(who, "admin");

  const act = async (name, what) => {
    setBusy(name);
    try {
      await what();
    } catch (problem) {
      toast(problem.message, {kind: "bad"});
    } finally {
      setBusy("");
    }
  };
  const cancel = () => act("cancel", async () => {
    job.became(await api(`${path}/cancel`, {method: "POST"}));
    toast("Cancelling");
  });
  const again = () => act("again", async () => {
    const made = await runAgain(view);
    navigate(`/console/jobs/${made.id}`);
  });
  const remove = async () => {
    await api(path, {method: "DELETE"});
    toast("The job is deleted");
    navigate("/console/jobs");
  };

  if (!may(who, "run")) return null;
  return html`
    ${!job.ended && own && html`<${Button} kind="danger" busy=${busy === "cancel"} disabled=${view.cancel_requested}
      onClick=${cancel}>${view.cancel_requested ? "Cancelling" : "Cancel"}<//>`}
    <${Button} busy=${busy === "again"} onClick=${again}>Run again<//>
    <a class="button" href=${`/console/programs/${view.program.id}?from=${view.id}`}>Change and run</a>
    ${own && "shares" in view && html`<${Button} onClick=${() => setAsking("share")}>Share<//>
      <${Share} open=${asking === "share"} job=${job} onClose=${() => setAsking("")} />`}
    ${own && job.ended && html`<${Button} kind="quiet" onClick=${() => setAsking("delete")}>Delete<//>
      <${Confirm} open=${asking === "delete"} onClose=${() => setAsking("")} title="Delete this job?" onYes=${remove}>
        <p>Its result, outputs, log and files are forgotten. This cannot be undone.</p><//>`}`;
}
