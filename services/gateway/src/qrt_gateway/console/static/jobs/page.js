import {Empty, PageHead, html} from "../ui.js";

export default function Job({params}) {
  return html`<${PageHead} title="Job" /><${Empty} title=${params.id} />`;
}
