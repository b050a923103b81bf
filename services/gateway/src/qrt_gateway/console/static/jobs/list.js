import {Empty, PageHead, html} from "../ui.js";

export default function Jobs() {
  return html`<${PageHead} title="Jobs" /><${Empty} title="The list of jobs stands here." />`;
}
