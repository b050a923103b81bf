import {PageHead, html} from "../ui.js";

export default function Program() {
  return html`<${PageHead} title="Program" />`;
}
