// Who one is here, one's tokens, and, for administrators, everybody's accounts.
import {account, may} from "../api.js";
import {setQuery} from "../router.js";
import {Badge, Facts, PageHead, Panel, Tabs, Time, html} from "../ui.js";
import {useStore} from "../lib/store.js";
import {Accounts} from "./accounts.js";
import {Audit} from "./audit.js";
import {Groups} from "./groups.js";
import {Tokens} from "./tokens.js";

export default function AccountPage({query}) {
  const who = useStore(account);
  const rules = may(who, "admin");
  const tabs = [{id: "tokens", label: "Tokens"}, ...(rules ? [{id: "accounts", label: "Accounts"}, {id: "groups", label: "Groups"}, {id: "audit", label: "Audit log"}] : [])];
  const tab = tabs.some((each) => each.id === query.tab) ? query.tab : "tokens";
  return html`
    <${PageHead} title="Account" beside=${html`<${Badge} tone=${who.admin ? "live" : "off"}>${who.role}<//>`} />
    <${Facts} items=${[
      ["Name", who.name], ["Groups", who.groups.join(", ") || "none"], ["This session may", who.scopes.join(", ")],
      ["Its token", who.token && html`${who.token.name}${who.token.expires_at && html`, until <${Time} at=${who.token.expires_at} />`}`],
    ]} />
    <div class="space"></div>
    <${Tabs} label="Account" tabs=${tabs} active=${tab} onSelect=${(id) => setQuery({tab: id === "tokens" ? null : id})} />
    <${Panel} id=${tab}>
      ${tab === "tokens" && html`<${Tokens} path="/v1/tokens" who=${who} />`}
      ${tab === "accounts" && html`<${Accounts} who=${who} />`}
      ${tab === "groups" && html`<${Groups} />`}
      ${tab === "audit" && html`<${Audit} />`}
    <//>`;
}
