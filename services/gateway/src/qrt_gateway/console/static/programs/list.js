import {PageHead, html} from "../ui.js";

export default function Programs() {
  return html`<${PageHead} title="Programs" />`;
}
