import {PageHead, html} from "./ui.js";

export default function Executors() {
  return html`<${PageHead} title="Executors" />`;
}
