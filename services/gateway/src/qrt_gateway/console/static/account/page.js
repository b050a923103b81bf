import {PageHead, html} from "../ui.js";

export default function Account() {
  return html`<${PageHead} title="Account" />`;
}
